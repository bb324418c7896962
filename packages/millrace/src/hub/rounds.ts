import type { Entry } from "../log/index.js";
import { isPersonalChannel } from "../protocol/index.js";
import type { Compressors } from "./compressor.js";
import { type Chunk, encodeEntries } from "./form.js";
import type { Group, Groups } from "./groups.js";
import { replacedIn } from "./replaced.js";
import type { Subscriber } from "./subscriber.js";
import type { Turn } from "./turn.js";

export interface RoundsParts {
  readonly groups: Groups<Subscriber>;
  readonly turn: Turn;
  readonly compressors: Compressors<Group<Subscriber>>;
  /** Sequence of the newest entry so far. */
  readonly tail: number;
  /** Subscribers of the personal channel `channel`. */
  readonly personal: (channel: string) => Iterable<Subscriber>;
  /** Hands chunks to a live subscriber that has everything up to `from`, and moves its cursor: to `to`, when it takes all. */
  readonly deliver: (subscriber: Subscriber, chunks: readonly Chunk[], from: number, to: number) => void;
  /** Lets a live subscriber that has everything up to `cursor`, and a rate of its own, read what is new when it is time. */
  readonly hold: (subscriber: Subscriber, cursor: number) => void;
}

/** What is being compressed for a group. */
interface Coming {
  chunks: readonly Chunk[];
  ready: boolean;
}

/** What was committed since the round before, to every group that it concerns. */
interface Round {
  /** It brings the entries behind `from`, up to `to`. */
  readonly from: number;
  readonly to: number;
  readonly groups: readonly Group<Subscriber>[];
  /** Those with entries of their own, which lie in `due`. */
  readonly own: readonly Subscriber[];
  /** Which of `own` is next, then which group, and which member of it. */
  owner: number;
  group: number;
  member: number;
  chunks: readonly Chunk[] | undefined;
  /** What other threads are compressing, and for which of it the round has to wait. */
  readonly coming: Map<Group<Subscriber>, Coming>;
  waitsFor: Coming | undefined;
  /** When this turn is over, and after how many writes to look whether it is. */
  endMs: number;
  untilLook: number;
}

/**
 * Writes what is committed to those whose cursor is at the tail: one Buffer per group.
 *
 * A round is cut into turns of the event loop. What is published meanwhile leaves in the next round, in one write per
 * connection: so the busier it is, the larger the batches, and publishers are answered in between. In one piece, a
 * publisher that waits for its answer could send one event a round.
 */
export class Rounds {
  readonly #parts: RoundsParts;
  #round: Round | undefined;
  /** Committed, and waiting for the next round. */
  #incoming: Entry[] = [];
  #settled: number;

  constructor(parts: RoundsParts) {
    this.#parts = parts;
    this.#settled = parts.tail;
  }

  /** Live subscribers have everything up to here, but for those in a group that is being written to. */
  get settled(): number {
    return this.#settled;
  }

  /** Sequence of the last entry that a live subscriber was given, or need not be given. */
  cursorOf({ cursor, group, due }: Subscriber): number {
    const coming = group.pending.length > 0 || due !== undefined;
    return Math.max(cursor, coming ? (this.#round as Round).from : this.#settled);
  }

  /** Entries in the order of the log. */
  distribute(entries: readonly Entry[]): void {
    for (const entry of entries) this.#incoming.push(entry);
    if (!this.#round) this.#begin();
  }

  #begin(): void {
    const entries = this.#incoming;
    this.#incoming = [];
    const plain: Group<Subscriber>[] = [];
    const gzip: Group<Subscriber>[] = [];
    const own: Subscriber[] = [];
    const from = this.#settled;
    const to = (entries.at(-1) as Entry).sequence;
    let replaced: ReadonlySet<Entry> | undefined;
    const isReplaced = (entry: Entry): boolean => {
      if (entry.key === undefined) return false;
      replaced ??= replacedIn(entries);
      return replaced.has(entry);
    };
    for (const entry of entries) {
      if (isPersonalChannel(entry.channel)) this.#collectOwn(entry, own, isReplaced);
      else {
        this.#parts.groups.reading(entry.channel, (group) => {
          if (group.conflate && isReplaced(entry)) return;
          if (group.everyMs > 0) return this.#hold(group);
          if (group.pending.length === 0) (group.gzip ? gzip : plain).push(group);
          group.pending.push(entry);
        });
      }
    }
    const untilLook = this.#parts.turn.writesPerLook;
    this.#settled = to;
    this.#round = {
      ...{ from, to, own, owner: 0, group: -1, member: -1, chunks: undefined, endMs: 0, untilLook },
      groups: gzip.length > 0 ? [...plain, ...gzip] : plain, // while the plain ones are written, the others get ready
      ...{ coming: new Map(), waitsFor: undefined },
    };
    for (const group of gzip) this.#compress(this.#round, group);
    this.#write(this.#round);
  }

  #compress(round: Round, group: Group<Subscriber>): void {
    const compressor = group.live.length > 0 ? this.#parts.compressors.of(group) : undefined;
    if (!compressor) return;
    const chunks = encodeEntries(group.pending, group.form);
    const coming: Coming = { chunks, ready: false };
    round.coming.set(group, coming);
    void compressor.compress(chunks.map(({ bytes }) => bytes)).then((parts) => {
      if (parts) coming.chunks = chunks.map((chunk, at) => ({ ...chunk, shared: parts[at] }));
      coming.ready = true;
      if (round.waitsFor === coming) this.#write(round);
    });
  }

  #hold({ live }: Group<Subscriber>): void {
    for (let last = live.at(-1); last; last = live.at(-1)) this.#parts.hold(last, this.#settled);
  }

  #collectOwn(entry: Entry, own: Subscriber[], isReplaced: (entry: Entry) => boolean): void {
    for (const subscriber of this.#parts.personal(entry.channel)) {
      if (subscriber.state !== "live" || (subscriber.group.conflate && isReplaced(entry))) continue;
      if (subscriber.group.everyMs > 0) {
        this.#parts.hold(subscriber, this.#settled);
        continue;
      }
      if (!subscriber.due) {
        subscriber.due = [];
        own.push(subscriber);
      }
      subscriber.due.push(entry);
    }
  }

  /** Writes for as long as a turn may take, and goes on in the next one. */
  #write(round: Round): void {
    round.waitsFor = undefined;
    round.endMs = performance.now() + this.#parts.turn.writingMs;
    let done = this.#writeOwn(round);
    while (done) {
      const group = round.groups[round.group];
      if (group && !this.#writeGroup(round, group)) done = false;
      else {
        if (group) group.pending = [];
        const next = round.groups[++round.group];
        if (!next) break;
        round.member = next.live.length - 1;
        round.chunks = undefined;
      }
    }
    if (!done) {
      if (!round.waitsFor) setImmediate(() => this.#write(round));
      return;
    }
    this.#round = undefined;
    if (this.#incoming.length > 0) setImmediate(() => this.#next());
  }

  #isOver(round: Round): boolean {
    if (round.untilLook-- > 0) return false;
    round.untilLook = this.#parts.turn.writesPerLook;
    return performance.now() > round.endMs;
  }

  #next(): void {
    if (!this.#round && this.#incoming.length > 0) this.#begin();
  }

  /** What is personal goes out together with what the subscriber's group is given, in the order of the log. */
  #writeOwn(round: Round): boolean {
    for (; round.owner < round.own.length; round.owner++) {
      if (this.#isOver(round)) return false;
      const subscriber = round.own[round.owner] as Subscriber;
      const { due, group } = subscriber;
      subscriber.due = undefined;
      // Without `due` it was given another selection since the round began: it reads these entries itself.
      if (!due || subscriber.state !== "live") continue;
      const both = [...group.pending, ...due].sort((a, b) => a.sequence - b.sequence);
      this.#deliverRest(subscriber, both, round);
    }
    return true;
  }

  /** Answers whether the group is done. */
  #writeGroup(round: Round, group: Group<Subscriber>): boolean {
    const { from, to } = round;
    const { live, pending, form } = group;
    if (live.length === 0) return true;
    const coming = round.coming.get(group);
    if (coming && !coming.ready) {
      round.waitsFor = coming;
      return false;
    }
    round.chunks ??= coming?.chunks ?? encodeEntries(pending, form);
    // From the end: one that lags is replaced by the last, which has had its turn, or has come later.
    for (; round.member >= 0; round.member--) {
      if (this.#isOver(round)) return false;
      const subscriber = live[round.member];
      if (!subscriber || subscriber.cursor >= to) continue;
      if (subscriber.cursor <= from) this.#parts.deliver(subscriber, round.chunks, from, to);
      else this.#deliverRest(subscriber, pending, round); // it came to the tail while this round was gathering
    }
    return true;
  }

  /** Of the entries, what the subscriber has not had. */
  #deliverRest(subscriber: Subscriber, entries: readonly Entry[], { from, to }: Round): void {
    const rest = entries.filter(({ sequence }) => sequence > subscriber.cursor);
    this.#parts.deliver(subscriber, encodeEntries(rest, subscriber.group.form), from, to);
  }
}
