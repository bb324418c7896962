import type { Entry } from "../log/index.js";
import { isPersonalChannel } from "../protocol/index.js";
import type { Compressors } from "./compressor.js";
import { type Chunk, encodeEntries } from "./form.js";
import { Group, type Groups, type Round } from "./groups.js";
import { Recent } from "./recent.js";
import { withoutReplaced } from "./replaced.js";
import type { Subscriber } from "./subscriber.js";
import type { Turn } from "./turn.js";

/** Who is later than that for what is due, in milliseconds, reads the log. */
const lateMs = 1000;

export interface RoundsParts {
  readonly groups: Groups<Subscriber>;
  readonly turn: Turn;
  readonly compressors: Compressors<Group<Subscriber>>;
  /** Sequence of the newest entry so far. */
  readonly tail: number;
  /** Whether what groups with a rate have had is kept for their members. Of a shared log nobody would read it. */
  readonly keepsRecent: boolean;
  /** Subscribers of the personal channel `channel`. */
  readonly personal: (channel: string) => Iterable<Subscriber>;
  /** Hands chunks to a live subscriber that has everything up to `from`, and moves its cursor: to `to`, when it takes all. */
  readonly deliver: (subscriber: Subscriber, chunks: readonly Chunk[], from: number, to: number) => void;
  /** Lets a live subscriber that has everything up to `cursor`, and a rate of its own, read what is new when it is time. */
  readonly hold: (subscriber: Subscriber, cursor: number) => void;
}

/** What is written to members of a group with one cursor. */
interface Shared {
  readonly group: Group<Subscriber>;
  readonly cursor: number;
  readonly last: number;
  readonly chunks: readonly Chunk[];
}

/**
 * Writes what is committed to those whose cursor is at the tail: one Buffer per group.
 *
 * Each group with entries that not all of its members have had goes its rounds over them, a turn of the event loop at a
 * time. A member is written all that has been committed by then, in one write: so the busier it is, the larger the batches,
 * and an entry waits for no more than one round. In one piece, a publisher that waits for its answer could send one
 * event a round; and in rounds that bring only what was there when they began, an entry waits for that of the others, too:
 * at 5,000 events a second that doubled the delay.
 */
export class Rounds {
  readonly #parts: RoundsParts;
  /** Groups with something pending, and subscribers with entries of their own: who has waited longest comes first. */
  readonly #waiting = new Set<Group<Subscriber> | Subscriber>();
  #shared: Shared | undefined;
  #settled: number;
  /** A turn of writing is under way, or will come. */
  #busy = false;
  /** When this turn is over, whether it is, and after how many writes to look. */
  #endMs = 0;
  #isOver = false;
  #untilLook: number;

  constructor(parts: RoundsParts) {
    this.#parts = parts;
    this.#settled = parts.tail;
    this.#untilLook = parts.turn.writesPerLook;
  }

  /** Live subscribers have everything up to here, but for those with something pending. */
  get settled(): number {
    return this.#settled;
  }

  /** Sequence of the last entry that a live subscriber was given, or need not be given. */
  cursorOf({ cursor, group, due }: Subscriber): number {
    return Math.max(cursor, Math.min(this.#settled, before(group.pending), before(due)));
  }

  /** The log has gone on to its tail, and nothing of that is for anyone here. */
  settle(tail: number): void {
    this.#settled = Math.max(this.#settled, tail);
  }

  /** Entries in the order of the log. */
  distribute(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (isPersonalChannel(entry.channel)) this.#collectOwn(entry);
      else this.#parts.groups.reading(entry.channel, (group) => this.#collect(group, entry));
    }
    this.settle((entries.at(-1) as Entry).sequence);
    if (!this.#busy) this.#write();
  }

  #collect(group: Group<Subscriber>, entry: Entry): void {
    const { live, pending, everyMs } = group;
    if (everyMs > 0) {
      if (this.#parts.keepsRecent) {
        group.recent ??= new Recent(this.#settled, everyMs + lateMs);
        group.recent.push(entry);
      }
      for (let last = live.at(-1); last; last = live.at(-1)) this.#parts.hold(last, this.#settled);
    }
    // Those who are not live read it from the log.
    if (live.length > 0 && pending.push(entry) === 1) this.#waiting.add(group);
  }

  #collectOwn(entry: Entry): void {
    for (const subscriber of this.#parts.personal(entry.channel)) {
      if (subscriber.cadence) subscriber.cadence.ownThrough = entry.sequence;
      if (subscriber.state !== "live") continue;
      if (subscriber.cadence) this.#parts.hold(subscriber, this.#settled);
      else {
        subscriber.due ??= [];
        subscriber.due.push(entry);
        this.#waiting.add(subscriber);
      }
    }
  }

  /** Writes for as long as a turn may take, and goes on in the next one. */
  #write(): void {
    this.#busy = true;
    this.#isOver = false;
    this.#endMs = performance.now() + this.#parts.turn.writingMs;
    for (const next of this.#waiting) {
      if (next instanceof Group) this.#writeGroup(next);
      else if (!this.#look()) this.#writeOwn(next);
      if (this.#isOver) break;
    }
    this.#shared = undefined;
    this.#busy = this.#waiting.size > 0;
    if (this.#busy) setImmediate(() => this.#write());
  }

  /** Whether the turn is over. */
  #look(): boolean {
    if (this.#untilLook-- > 0) return false;
    this.#untilLook = this.#parts.turn.writesPerLook;
    this.#isOver = performance.now() > this.#endMs;
    return this.#isOver;
  }

  #writeGroup(group: Group<Subscriber>): void {
    this.#waiting.delete(group);
    group.round ??= this.#begin(group);
    const { round, live } = group;
    if (round.isCompressing) return;
    // From the end: one that lags is replaced by the last, which has had its turn, or has come later.
    for (; round.member >= 0; round.member--) {
      if (this.#look()) return void this.#waiting.add(group); // behind the others: all take turns
      const subscriber = live[round.member];
      if (subscriber?.due) this.#writeOwn(subscriber);
      else if (subscriber) this.#writeShared(subscriber, round);
    }
    group.pending.splice(0, round.entries);
    group.round = undefined;
    if (group.pending.length > 0) this.#waiting.add(group);
  }

  #begin(group: Group<Subscriber>): Round {
    if (group.conflate) group.pending = withoutReplaced(group.pending);
    const { pending, live, gzip } = group;
    const round: Round = {
      ...{ entries: pending.length, through: this.#settled, member: live.length - 1 },
      ...{ chunks: undefined, isCompressing: false },
    };
    if (gzip && live.length > 0) this.#compress(group, round);
    return round;
  }

  #compress(group: Group<Subscriber>, round: Round): void {
    const compressor = this.#parts.compressors.of(group);
    if (!compressor) return;
    const chunks = encodeEntries(group.pending, group.form);
    round.isCompressing = true;
    void compressor.compress(chunks.map(({ bytes }) => bytes)).then((parts) => {
      round.chunks = parts ? chunks.map((chunk, at) => ({ ...chunk, shared: parts[at] })) : chunks;
      round.isCompressing = false;
      this.#waiting.add(group);
      if (!this.#busy) this.#write();
    });
  }

  #writeShared(subscriber: Subscriber, round: Round): void {
    const { group } = subscriber;
    const { pending, gzip, conflate } = group;
    // What is compressed, or the latest of its keys, is so for all members: these rounds bring what they began with.
    const isFixed = gzip || conflate;
    const last = (isFixed ? pending[round.entries - 1] : pending.at(-1))?.sequence ?? 0;
    if (subscriber.cursor >= last) return;
    const first = before(pending);
    const cursor = Math.max(subscriber.cursor, first);
    const chunks = cursor === first && round.chunks ? round.chunks : this.#encoded(group, cursor, last);
    this.#parts.deliver(subscriber, chunks, cursor, isFixed ? round.through : this.#settled);
  }

  /** The entries of a group behind a cursor, up to `last`: as a rule its members are written to in the order of the round before. */
  #encoded(group: Group<Subscriber>, cursor: number, last: number): readonly Chunk[] {
    const known = this.#shared;
    if (known?.group === group && known.cursor === cursor && known.last === last) return known.chunks;
    const entries = group.pending.filter(({ sequence }) => sequence > cursor && sequence <= last);
    const chunks = encodeEntries(entries, group.form);
    this.#shared = { group, cursor, last, chunks };
    return chunks;
  }

  /** What is personal goes out together with what the subscriber's group is given, in the order of the log. */
  #writeOwn(subscriber: Subscriber): void {
    this.#waiting.delete(subscriber);
    const { due, group, cursor, state } = subscriber;
    subscriber.due = undefined;
    // Without `due` it was given another selection meanwhile: it reads these entries itself.
    if (!due || state !== "live") return;
    const both = [...group.pending, ...due].filter(({ sequence }) => sequence > cursor);
    both.sort((a, b) => a.sequence - b.sequence);
    const entries = group.conflate ? withoutReplaced(both) : both;
    const from = entries.length > 0 ? Math.max(cursor, before(entries)) : cursor;
    this.#parts.deliver(subscriber, encodeEntries(entries, group.form), from, this.#settled);
  }
}

/** The sequence before the first of some entries; Infinity when there are none. */
const before = (entries: readonly Entry[] | undefined): number => (entries?.[0]?.sequence ?? Infinity) - 1;
