import type { Entry } from "../log/index.js";
import { patternsOf, type Selection, selectionOf } from "../protocol/index.js";
import type { Sink } from "../sink/sink.js";
import type { Form } from "./form.js";
import type { Group } from "./groups.js";

/** Who a subscriber is: it also reads the channels `@user/<user>` and `@role/<role>`. */
export interface Identity {
  readonly user?: string;
  readonly roles?: readonly string[];
  /** When the stream ends, in milliseconds since 1970: an identity's credentials do not live for ever. */
  readonly expiresAtMs?: number;
}

/**
 * A cursor, a selection and a sink.
 *
 *   reading ──(cursor at the tail)──→ live
 *      ↑ └──(sink full)──→ full ←──(sink full)─┘
 *      └──────(drain)───────┘            any → closed
 */
export type SubscriberState = "reading" | "live" | "full" | "closed";

/** A client's connection, as an application sees it. */
export interface Connection {
  /** Names the connection; not to be guessed. To publish to it is to publish to `@connection/<id>`. */
  readonly id: string;
  readonly identity: Identity;
  /** The channels and prefixes that the client asked for. */
  readonly channels: readonly string[];
  readonly form: Form;
  /** `http/1.1`, `http/2`, `fetch` or `poll`. */
  readonly transport: string;
  readonly state: SubscriberState;
  readonly openedAtMs: number;
  readonly remoteAddress: string | undefined;
  /** Why the hub ended it; undefined while it is open, and when the client left. */
  readonly closeReason: string | undefined;
}

type SubscriberParts = Pick<
  Subscriber,
  "id" | "sink" | "identity" | "group" | "openedAtMs" | "remoteAddress" | "cursor" | "lost" | "knownDrops"
>;

/** One object for each connection: what it costs to be idle. */
export class Subscriber implements Connection {
  readonly id: string;
  readonly sink: Sink;
  readonly identity: Identity;
  readonly group: Group<Subscriber>;
  readonly openedAtMs: number;
  readonly remoteAddress: string | undefined;
  #selection: Selection | undefined;
  state: SubscriberState = "reading";
  /** Sequence of the last entry that was handed to the sink. While it is live and its channels are quiet, it is further: see Pump. */
  cursor: number;
  /** What was dropped up to this count has been said, or need not be. */
  knownDrops: number;
  /** A gap that is known from the position that the client came with. */
  lost: "no" | "yes" | "may";
  liveIndex = -1;
  /** Entries of its own channels that the present round has still to bring it. */
  due: Entry[] | undefined;
  /** Whether its sink is full, and since when. */
  sinkFull = false;
  fullSinceMs = 0;
  /** Where it is in the round of heartbeats; -1: it is sent none. */
  slot = -1;
  endsAtMs = Infinity;
  /** Entries that it may still be sent, where a rate is set, and when that was worked out. */
  allowance = 0;
  allowedAtMs = -Infinity;
  closeReason: string | undefined;

  constructor(parts: SubscriberParts) {
    this.id = parts.id;
    this.sink = parts.sink;
    this.identity = parts.identity;
    this.group = parts.group;
    this.openedAtMs = parts.openedAtMs;
    this.remoteAddress = parts.remoteAddress;
    this.cursor = parts.cursor;
    this.lost = parts.lost;
    this.knownDrops = parts.knownDrops;
  }

  get channels(): readonly string[] {
    return patternsOf(this.group.selection).filter((channel) => !channel.startsWith("@"));
  }

  get form(): Form {
    return this.group.form;
  }

  get transport(): string {
    return this.sink.kind;
  }

  /** What it reads: the group's selection and its own channels, which are no part of that. Kept while it reads only. */
  get selection(): Selection {
    const { exact, prefixes } = this.group.selection;
    this.#selection ??= selectionOf([...exact, ...personalChannels(this.id, this.identity)], prefixes);
    return this.#selection;
  }

  forgetSelection(): void {
    this.#selection = undefined;
  }
}

export const roleChannels = ({ roles = [] }: Pick<Identity, "roles">): string[] => roles.map((role) => `@role/${role}`);

export function personalChannels(id: string, { user }: Identity): string[] {
  return user === undefined ? [`@connection/${id}`] : [`@connection/${id}`, `@user/${user}`];
}
