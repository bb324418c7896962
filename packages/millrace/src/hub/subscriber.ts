import type { Entry, Following } from "../log/index.js";
import { patternsOf, type Selection, selectionOf } from "../protocol/index.js";
import type { Sink, SinkOwner } from "../sink/sink.js";
import { Cadence } from "./clocks.js";
import type { Form } from "./form.js";
import type { Group } from "./groups.js";
import { broadcastChannel } from "./notify.js";

/** Who a subscriber is: it also reads the channels `@user/<user>` and `@role/<role>`. */
export interface Identity {
  readonly user?: string;
  readonly roles?: readonly string[];
  /** When the stream ends, in milliseconds since 1970: an identity's credentials do not live for ever. */
  readonly expiresAtMs?: number;
  /** Whether its client may change what its stream reads. Default true; on a route of `hub.stream` false. */
  readonly change?: boolean;
}

/**
 * A cursor, a selection and a sink.
 *
 *   reading ──(cursor at the tail)──→ live
 *      ↑ └──(sink full)──→ full ←──(sink full)─┘
 *      └──────(drain)───────┘            any → closed
 *
 * With a time between writes (`everyMs`) an entry that comes too soon makes a live one held, and so is one that has read,
 * or may read on, all that the last tick let go: held ──(tick)──→ reading.
 */
export type SubscriberState = "reading" | "live" | "held" | "full" | "closed";

/** A client's connection, as an application sees it. As JSON it is what `GET /connections` shows of it. */
export interface Connection {
  /** Names the connection; not to be guessed. `hub.sendToConnection` sends to it. */
  readonly id: string;
  readonly identity: Identity;
  /** The channels and prefixes that it reads now, but for those that it has by its identity. */
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

/** Who is told what the sink of a subscriber tells. */
interface SubscriberOwner {
  drained(subscriber: Subscriber): void;
  closed(subscriber: Subscriber): void;
  /** Where it is in the log. */
  position(subscriber: Subscriber): string;
}

type SubscriberParts = { readonly owner: SubscriberOwner } & Pick<
  Subscriber,
  | "id"
  | "sink"
  | "identity"
  | "group"
  | "openedAtMs"
  | "remoteAddress"
  | "cursor"
  | "lost"
  | "knownDrops"
  | "broadcastsAfter"
>;

/** One object for each connection: what it costs to be idle. */
export class Subscriber implements Connection, SinkOwner {
  readonly #owner: SubscriberOwner;
  readonly id: string;
  readonly sink: Sink;
  readonly identity: Identity;
  /** Another one when its selection changes: see Pump. */
  group: Group<Subscriber>;
  readonly openedAtMs: number;
  readonly remoteAddress: string | undefined;
  #selection: Selection | undefined;
  state: SubscriberState = "reading";
  /** Sequence of the last entry that was handed to the sink. While it is live and its channels are quiet, it is further: see Pump. */
  cursor: number;
  /** What was dropped up to this count has been said, or need not be. */
  knownDrops: number;
  /** It is given no broadcasts up to this sequence: it was not there, and does not come back. */
  readonly broadcastsAfter: number;
  /** A gap that is known from the position that the client came with. */
  lost: "no" | "yes" | "may";
  liveIndex = -1;
  /** Where it was when it went live: it has read what lies before. */
  liveFrom = 0;
  /** Entries of its own channels that the present round has still to bring it. */
  due: Entry[] | undefined;
  /** Whether its sink is full, and since when. */
  sinkFull = false;
  fullSinceMs = 0;
  /** Where it is in the round of heartbeats; -1: it is sent none. */
  slot = -1;
  endsAtMs = Infinity;
  /** Where it has a rate of its own (`everyMs`). */
  readonly cadence: Cadence | undefined;
  /** Entries that it may still be sent, where a rate is set, and when that was worked out. */
  allowance = 0;
  allowedAtMs = -Infinity;
  closeReason: string | undefined;
  /** What it has a shared log commit here of its own channels. */
  following: Following | undefined;

  constructor(parts: SubscriberParts) {
    this.#owner = parts.owner;
    this.id = parts.id;
    this.sink = parts.sink;
    this.identity = parts.identity;
    this.group = parts.group;
    this.cadence = parts.group.everyMs > 0 ? new Cadence() : undefined;
    this.openedAtMs = parts.openedAtMs;
    this.remoteAddress = parts.remoteAddress;
    this.cursor = parts.cursor;
    this.lost = parts.lost;
    this.knownDrops = parts.knownDrops;
    this.broadcastsAfter = parts.broadcastsAfter;
  }

  // The sink's owner is the subscriber itself. One made where it connects, of closures, kept all that was at hand there.

  onDrain(): void {
    this.#owner.drained(this);
  }

  onClose(): void {
    this.#owner.closed(this);
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

  /** An identity may hold more than its type says, a token for one: of it this is all that is shown. */
  toJSON(): unknown {
    const { id, identity, channels, form, transport, state, openedAtMs, remoteAddress } = this;
    return {
      ...{ id, user: identity.user ?? null, roles: identity.roles ?? [], channels, format: form, transport, state },
      position: this.#owner.position(this),
      openedAt: new Date(openedAtMs).toISOString(),
      remoteAddress: remoteAddress ?? null,
    };
  }

  /** Those that it has by its identity and for itself, and which are no part of its group's selection. */
  get ownChannels(): readonly string[] {
    return ownChannelsOf(this);
  }

  /** What it reads, its own channels too. Kept while it reads only. */
  get selection(): Selection {
    this.#selection ??= wholeSelection(this.group.selection, this, [broadcastChannel]);
    return this.#selection;
  }

  forgetSelection(): void {
    this.#selection = undefined;
  }
}

export const roleChannels = ({ roles = [] }: Pick<Identity, "roles">): string[] => roles.map((role) => `@role/${role}`);

/** What a subscriber reads: its group's selection, its own channels, which are no part of the group's, and more. */
export function wholeSelection(
  { exact, prefixes }: Selection,
  subscriber: Pick<Subscriber, "id" | "identity">,
  more: readonly string[] = [],
): Selection {
  return selectionOf([...exact, ...more, ...ownChannelsOf(subscriber)], prefixes);
}

const ownChannelsOf = ({ id, identity: { user } }: Pick<Subscriber, "id" | "identity">): string[] =>
  user === undefined ? [`@connection/${id}`] : [`@connection/${id}`, `@user/${user}`];
