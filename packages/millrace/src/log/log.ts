import type { CheckedEvent, Selection } from "../protocol/index.js";
import type { Entry } from "./entry.js";

export type MaybePromise<T> = T | Promise<T>;

/**
 * An append-only, totally ordered log of entries. Every driver passes one contract suite.
 *
 * Sequences count entries from 1 and never go back. A position is what a client sees of a sequence: it also names the
 * epoch, one run of one writer, so that a log that lost its tail never matches a cursor from before the loss.
 */
export interface Log {
  /** Sequence of the newest entry, 0 when there has never been one. */
  readonly tail: number;
  /**
   * Appends all events or none, and answers once they are as durable as the log promises.
   * @throws MillraceError `store_full`, `store_failed`, `store_unsure`, `closed`, `idempotency_conflict`; `invalid_event` for more than
   * 2 Mi characters in one event or 64 Mi in all
   */
  append(events: readonly CheckedEvent[], options?: AppendOptions): Promise<Appended>;
  /** Reads what is retained of a selection, in order, from behind a sequence on. Bounded: read again from `next`. */
  read(request: ReadRequest): MaybePromise<Slice>;
  /** Whether channels of these names have had nothing behind a sequence. False: that is not so, or not known. */
  isQuiet(channels: readonly string[], after: number): boolean;
  /** Where a client's position lies. Never fails: what cannot be placed is `lost`. */
  locate(position: string): Located;
  /** The position of a sequence between 0 and the tail. */
  position(sequence: number): string;
  /** The sequence behind which the newest `count` entries of the selection lie. */
  rewind(selection: Selection, count: number): MaybePromise<number>;
  /** Counts every removal by retention; see `ReadRequest.knownDrops`. */
  readonly drops: number;
  /**
   * Calls the listener with each batch of entries once they are durable, in order, in the turn that made them so. Of a
   * shared log the list may be empty: the tail has gone on, past entries that nobody follows here.
   */
  onCommit(listener: (entries: readonly Entry[]) => void): void;
  /** Set when other nodes write to the log, too. */
  readonly shared?: Shared;
  stats(): LogStats;
  /** Finishes what was appended, then frees everything. Later calls of `append` and `read` throw `closed`. */
  close(): Promise<void>;
}

/** What a log has beside that many nodes write to. It commits here what is followed here; all else it reads where it lies. */
export interface Shared {
  /** Has the entries of a selection committed here, from soon on until the end of it is asked for. */
  follow(selection: Selection): Following;
  /**
   * Learns the tail: what any node was acknowledged before the call lies before it then, and what any client was given can
   * be located. While the store is away nothing is learnt.
   * @param position a client's
   * @throws MillraceError `store_failed` when the store is away, and without it the position cannot be told from a lost one
   */
  refresh(position?: string): Promise<void>;
  /** Calls the listener with entries that were found missing: they lie before others that were committed. */
  onLate(listener: (entries: readonly Entry[]) => void): void;
  /**
   * Calls the listener when entries that are followed may have been missed: who is at the tail reads from its cursor
   * again. `may`: entries were lost, and nobody knows which.
   */
  onReset(listener: (lost: "no" | "may") => void): void;
  /** How often `may` was said. */
  readonly losses: number;
}

export interface Following {
  /** Whether all entries of the selection behind the tail will be committed here. */
  readonly live: boolean;
  end(): void;
}

export interface AppendOptions {
  /** Makes a repeat answer with the same ids, for `Retention.keyAgeMs`. `digest` stands for the events' content. */
  readonly idempotency?: { readonly key: string; readonly digest: string };
}

export interface Appended {
  /** Sequence of the first entry; the others follow without a hole. */
  readonly first: number;
  readonly count: number;
  /** Set when the events had been appended before, with the same idempotency key. */
  readonly repeated?: true;
}

export interface ReadRequest {
  readonly selection: Selection;
  readonly after: number;
  /** Stop before this many bytes, but return one entry at least. */
  readonly limitBytes: number;
  /** A gap is said only for what was dropped later than this count of `Log.drops`. Default -1: say all. */
  readonly knownDrops?: number;
  /**
   * Leave out each entry behind which its channel has another with the same key, and say no gap for those that were
   * dropped. Those without a key are all read. Default false.
   */
  readonly conflate?: boolean;
}

export interface Slice {
  readonly entries: readonly Entry[];
  /** The cursor behind this slice: read on from here. It is the tail when nothing is left. */
  readonly next: number;
  /** Set when entries of the selection behind `after` have been dropped. */
  readonly gap: Gap | undefined;
}

export interface Gap {
  /** True when it is not known whether the selection was concerned. */
  readonly may: boolean;
  /** The channels that lost entries, at most 100. */
  readonly channels: readonly string[];
}

export interface Located {
  /** Read on from behind this sequence. */
  readonly sequence: number;
  /** `no`: the position is exact. `yes`: what followed it is not known. `may`: a crash may have taken entries. */
  readonly lost: "no" | "yes" | "may";
}

export interface LogStats {
  readonly channels: number;
  readonly entries: number;
  readonly bytes: number;
  /** Bytes that the driver occupies, with what is dropped and not yet given back. */
  readonly storedBytes: number;
  /** False while the last attempt to write failed. */
  readonly writable: boolean;
}

/**
 * What is kept. `Infinity` turns a bound off. The newest entry of a channel is kept whatever its size. Two kinds have bounds
 * of their own: of what a hub writes down of its runs the newest 100,000 records are kept, beside the bytes in all; what is
 * sent to one connection is kept for a minute at most, unless a policy names `@connection/*`.
 */
export interface Retention {
  /** Entries per channel. Default 100,000. */
  readonly events: number;
  /** Age in milliseconds. Default 24 hours. */
  readonly ageMs: number;
  /** Bytes per channel. Default 64 MiB. */
  readonly channelBytes: number;
  /** Bytes in all. Default 1 GiB. */
  readonly totalBytes: number;
  /** How long an idempotency key is remembered. Default 10 minutes. At most a million are. */
  readonly keyAgeMs: number;
  /** How long a channel without entries is remembered exactly; later its gaps say "may". Default 24 hours. At most 100,000 are. */
  readonly memoryAgeMs: number;
}

/** What the channels of a pattern keep instead of what `Retention` says. The first policy that holds a channel is its own. */
export interface RetentionPolicy {
  /** A channel's name, `prefix/*`, or `*`, which holds none that begins with `@`. `@user/*` and its like may be named too. */
  readonly channels: string;
  /** What is left out is as for every other channel. The bound on the bytes in all is one for all channels. */
  readonly retention: {
    /** Entries per channel. */
    readonly events?: number;
    /** Age in milliseconds. */
    readonly ageMs?: number;
    /** Bytes per channel. */
    readonly bytes?: number;
  };
}

export const defaultRetention: Retention = {
  events: 100_000,
  ageMs: 24 * 60 * 60 * 1000,
  channelBytes: 64 * 1024 * 1024,
  totalBytes: 1024 * 1024 * 1024,
  keyAgeMs: 10 * 60 * 1000,
  memoryAgeMs: 24 * 60 * 60 * 1000,
};
