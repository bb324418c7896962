import type { Log } from "../log/index.js";
import { type CheckedEvent, checkOptionKinds, MillraceError, type Selection } from "../protocol/index.js";
import type { Form } from "./form.js";
import type { PumpCounters } from "./pump.js";
import type { Connection, Identity, Subscriber } from "./subscriber.js";
import type { Turn } from "./turn.js";

export interface HubOptions {
  readonly log: Log;
  /** How often an idle stream is written to, in milliseconds. Default 15,000; 0 turns heartbeats off. */
  readonly heartbeatMs?: number;
  /** `comment` (default), or `event`: a `heartbeat` event that page code sees. */
  readonly heartbeatForm?: "comment" | "event";
  /** Clients are told to wait so long before they reconnect, in milliseconds; each a little differently. Default 2,000. */
  readonly retryMs?: number;
  /** Entries a second that one stream is sent at most; it then reads on later. Default Infinity: no bound. */
  readonly streamRate?: number;
  /** A stream is ended after so long, give or take a tenth, and its client comes back. Default Infinity: never. */
  readonly maxAgeMs?: number;
  /** A stream whose client has not taken what it was sent for so long is cut. Default Infinity: a peer may be as slow as it likes. */
  readonly stallMs?: number;
  /** How much of one turn of the event loop deliveries may take. */
  readonly turn?: Partial<Turn>;
  /** Told when a connection opens or closes. */
  readonly onConnection?: (connection: Connection, what: "open" | "close") => void;
  /** Told of each event that was published here, with its id. */
  readonly onPublish?: (event: CheckedEvent, id: string) => void;
  /** Told what went wrong inside, with nothing of it sent to a client. */
  readonly onError?: (error: unknown) => void;
}

/** Where a client begins. */
export type Start = Pick<Subscriber, "cursor" | "lost" | "knownDrops" | "broadcastsAfter">;

export interface ConnectOptions {
  /** Exact channels and prefixes, as `parseSelection` gives them. */
  readonly selection: Selection;
  readonly form?: Form;
  /** Whether its bytes are compressed (`GzipSink`). Default false. */
  readonly gzip?: boolean;
  /** Give it of each key of a channel the latest event only, as far as it has not been given another yet. Default false. */
  readonly conflate?: boolean;
  /**
   * Write to it once in so many milliseconds at most, conflated: a whole number from 10 to 3,600,000. What comes after a
   * longer pause goes out at once. Default: whenever something comes.
   */
  readonly everyMs?: number;
  readonly identity?: Identity;
  /** The client's cursor: it wins over `rewind`. */
  readonly lastEventId?: string;
  /** Begin so many entries back, or with the oldest kept. Default: at the tail. */
  readonly rewind?: number | "all";
  /** What `Hub.place` has found for the same options: a shared log is asked for it, and that takes time. */
  readonly start?: Start;
  readonly remoteAddress?: string;
  /** A long-poll: it is given no opening block and no heartbeats. */
  readonly quiet?: boolean;
}

export interface HubStats extends Readonly<PumpCounters> {
  readonly connections: number;
  /** Different users that are connected. */
  readonly users: number;
  readonly groups: number;
  /** Events accepted here. */
  readonly published: number;
  /** Connections that were opened, and of these that are gone. */
  readonly opened: number;
  readonly closed: number;
}

export interface PublishOptions {
  /** Publishing again with the same key, within the log's time for keys, answers with the same ids and adds nothing. */
  readonly idempotencyKey?: string;
}

/** @throws MillraceError `invalid_option` */
export function checkPublishOptions(options: PublishOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new MillraceError("invalid_option", "the options of a publish are such as { idempotencyKey }");
  }
  checkOptionKinds("publish", options, { idempotencyKey: ["string"] });
}
