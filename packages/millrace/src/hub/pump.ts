import type { Entry, Log, Slice } from "../log/index.js";
import { type GapData, gapBlock, isPersonalChannel } from "../protocol/index.js";
import { type Chunk, chunkBytes, encodeEntries } from "./form.js";
import { type Group, Groups } from "./groups.js";
import type { Subscriber } from "./subscriber.js";

export interface PumpCounters {
  /** Entries handed to sinks: one for each subscriber. */
  deliveries: number;
  /** Gaps that were said. */
  gaps: number;
  /** Times that a subscriber was slower than its channels. */
  lags: number;
  /** Times that a subscriber was held back by the rate for one stream. */
  paced: number;
}

export interface PumpParts {
  readonly log: Log;
  /** Entries a second that one stream is sent at most; Infinity: no bound. */
  readonly streamRate: number;
  readonly turn?: Partial<Turn>;
  /** Subscribers of the personal channel `channel`. */
  readonly personal: (channel: string) => Iterable<Subscriber>;
  /** Reading the log failed for this subscriber. */
  readonly onError: (subscriber: Subscriber, error: unknown) => void;
}

/** How much of one turn of the event loop is taken at most. */
export interface Turn {
  /** For writing to those at the tail, in milliseconds. Default 0.5. */
  readonly writingMs: number;
  /** For reading for those behind, in milliseconds. Default 2. */
  readonly readingMs: number;
  /** After so many writes it is looked whether the time is over: a look costs as much as a small part of a write. Default 32. */
  readonly writesPerLook: number;
}

const defaultTurn: Turn = { writingMs: 0.5, readingMs: 2, writesPerLook: 32 };
/** A rate may be exceeded by what it allows in so many seconds, before it holds back. */
const burstSeconds = 1;

/** One round of writing: what was committed since the last one, to every group that it concerns. */
interface Flush {
  /** It brings the entries behind `from`, up to `to`. */
  readonly from: number;
  readonly to: number;
  readonly groups: readonly Group<Subscriber>[];
  /** The group, and the member of it, that is next. */
  group: number;
  member: number;
  chunks: readonly Chunk[] | undefined;
  /** When this turn is over, and after how many writes to look whether it is. */
  endMs: number;
  untilLook: number;
}

/**
 * Moves entries from the log to sinks. Those whose cursor is at the tail share what each commit brings: one Buffer per
 * group. Everyone else reads the log from their cursor on, in bounded batches, until they are at the tail. No
 * subscriber has a queue.
 *
 * A round of writing is cut into turns of the event loop. What is published meanwhile leaves in the next round, in one
 * write per connection: so the busier it is, the larger the batches, and publishers are answered in between. In one
 * piece, a publisher that waits for its answer could send one event a round.
 */
export class Pump {
  readonly groups = new Groups<Subscriber>();
  readonly counters: PumpCounters = { deliveries: 0, gaps: 0, lags: 0, paced: 0 };
  readonly #parts: PumpParts;
  readonly #log: Log;
  readonly #turn: Turn;
  readonly #paced = new Set<Subscriber>();
  #flush: Flush | undefined;
  /** Committed, and waiting for the next round. */
  #incoming: Entry[] = [];
  /** All entries up to here have been in a round. */
  #flushedThrough: number;
  #reading: Subscriber[] = [];
  #scheduled = false;

  constructor(parts: PumpParts) {
    this.#parts = parts;
    this.#log = parts.log;
    this.#turn = { ...defaultTurn, ...parts.turn };
    this.#flushedThrough = parts.log.tail;
  }

  /** Sequence of the last entry that the subscriber was given, or need not be given. */
  cursorOf(subscriber: Subscriber): number {
    if (subscriber.state !== "live") return subscriber.cursor;
    return Math.max(subscriber.cursor, subscriber.group.pending.length > 0 ? (this.#flush?.from ?? 0) : this.settled);
  }

  /** Live subscribers have everything up to here, but for those in groups that are being written to. */
  get settled(): number {
    return this.#flushedThrough;
  }

  /** Whether the subscriber is live and nothing is on its way to it. */
  isIdle(subscriber: Subscriber): boolean {
    return subscriber.state === "live" && subscriber.group.pending.length === 0;
  }

  /** Starts a subscriber at its cursor. */
  start(subscriber: Subscriber): void {
    if (subscriber.cursor === this.#log.tail && subscriber.lost === "no") this.#goLive(subscriber);
    else this.#readSoon(subscriber);
  }

  /** The sink is full before anything was read. */
  hold(subscriber: Subscriber): void {
    this.#stop(subscriber, subscriber.cursor);
  }

  /** The sink has emptied. */
  resume(subscriber: Subscriber): void {
    if (subscriber.state === "full" && !this.#paced.has(subscriber)) this.#readSoon(subscriber);
  }

  /** Bytes that are no entry, such as a heartbeat. */
  writeTo(subscriber: Subscriber, bytes: Uint8Array): void {
    if (!subscriber.sink.write(bytes)) this.#stop(subscriber, this.cursorOf(subscriber));
  }

  remove(subscriber: Subscriber): void {
    const { state } = subscriber;
    if (state === "closed") return;
    subscriber.cursor = this.cursorOf(subscriber);
    if (state === "live") subscriber.group.removeLive(subscriber);
    subscriber.state = "closed";
    this.#paced.delete(subscriber);
    this.groups.leave(subscriber.group);
  }

  /** Lets the streams go on whose rate allows it again. */
  refill(): void {
    for (const subscriber of this.#paced) {
      if (this.#allow(subscriber) <= 0) continue;
      this.#paced.delete(subscriber);
      this.#readSoon(subscriber);
    }
  }

  /** What was committed goes to the groups that hold its channel. */
  distribute(entries: readonly Entry[]): void {
    for (const entry of entries) this.#incoming.push(entry);
    if (!this.#flush) this.#begin();
  }

  #begin(): void {
    const entries = this.#incoming;
    if (entries.length === 0) return;
    this.#incoming = [];
    const groups: Group<Subscriber>[] = [];
    const own = new Map<Subscriber, Entry[]>();
    for (const entry of entries) {
      if (isPersonalChannel(entry.channel)) {
        for (const subscriber of this.#parts.personal(entry.channel)) {
          const before = own.get(subscriber);
          if (before) before.push(entry);
          else own.set(subscriber, [entry]);
        }
        continue;
      }
      this.groups.holding(entry.channel, (group) => {
        if (group.pending.length === 0) groups.push(group);
        group.pending.push(entry);
      });
    }
    const from = this.#flushedThrough;
    const to = (entries.at(-1) as Entry).sequence;
    this.#flushedThrough = to;
    for (const [subscriber, personal] of own) {
      if (subscriber.state !== "live") continue;
      const both = [...subscriber.group.pending, ...personal].sort((a, b) => a.sequence - b.sequence);
      this.#deliverOwn(subscriber, both, to);
    }
    this.#flush = {
      from,
      to,
      groups,
      group: 0,
      member: (groups[0]?.live.length ?? 0) - 1,
      chunks: undefined,
      endMs: 0,
      untilLook: 0,
    };
    this.#write();
  }

  /** Writes for as long as a turn may take, and goes on in the next one. */
  #write(): void {
    const flush = this.#flush as Flush;
    flush.endMs = performance.now() + this.#turn.writingMs;
    for (;;) {
      const group = flush.groups[flush.group];
      if (!group) break;
      if (this.#writeGroup(flush, group)) {
        group.pending = [];
        flush.group++;
        flush.member = (flush.groups[flush.group]?.live.length ?? 0) - 1;
        flush.chunks = undefined;
      } else {
        setImmediate(() => this.#write());
        return;
      }
    }
    this.#flush = undefined;
    if (this.#incoming.length > 0) setImmediate(() => this.#flush ?? this.#begin());
  }

  /** Answers whether the group is done. */
  #writeGroup(flush: Flush, group: Group<Subscriber>): boolean {
    const { from, to } = flush;
    const { live, pending } = group;
    if (live.length === 0) return true;
    flush.chunks ??= encodeEntries(pending, group.form);
    const limited = this.#parts.streamRate !== Infinity;
    // From the end: one that lags is replaced by the last, which has had its turn, or has come later.
    for (; flush.member >= 0; flush.member--) {
      if (flush.untilLook-- <= 0) {
        flush.untilLook = this.#turn.writesPerLook;
        if (performance.now() > flush.endMs) return false;
      }
      const subscriber = live[flush.member];
      if (!subscriber || subscriber.cursor >= to) continue;
      if (subscriber.cursor <= from) this.#deliver(subscriber, flush.chunks, to, limited);
      else {
        // It came to the tail while this round was gathering, and has read a part of it.
        const rest = pending.filter(({ sequence }) => sequence > subscriber.cursor);
        this.#deliverOwn(subscriber, rest, to);
      }
    }
    return true;
  }

  #deliverOwn(subscriber: Subscriber, entries: readonly Entry[], to: number): void {
    const news = entries.filter(({ sequence }) => sequence > subscriber.cursor);
    this.#deliver(subscriber, encodeEntries(news, subscriber.group.form), to, this.#parts.streamRate !== Infinity);
  }

  #deliver(subscriber: Subscriber, chunks: readonly Chunk[], to: number, limited: boolean): void {
    for (let at = 0; at < chunks.length; at++) {
      const { bytes, entries, last } = chunks[at] as Chunk;
      const open = subscriber.sink.write(bytes);
      this.counters.deliveries += entries;
      const cursor = at === chunks.length - 1 ? to : last;
      subscriber.cursor = cursor;
      if (!open) this.#stop(subscriber, cursor);
      else if (limited) this.#pace(subscriber, cursor, entries);
      if (subscriber.state !== "live") return;
    }
    subscriber.cursor = to;
  }

  #readSoon(subscriber: Subscriber): void {
    subscriber.state = "reading";
    this.#reading.push(subscriber);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#readAll());
  }

  /** A batch for each of those behind, in turn, for as long as this turn may take; the rest in the next. */
  #readAll(): void {
    this.#scheduled = false;
    const queue = this.#reading;
    this.#reading = [];
    const endMs = performance.now() + this.#turn.readingMs;
    let at = 0;
    for (; at < queue.length && (at === 0 || performance.now() < endMs); at++) this.#readFor(queue[at] as Subscriber);
    // Those whose turn did not come are first in the next one.
    const left = queue.slice(at).filter(({ state }) => state === "reading");
    this.#reading = left.concat(this.#reading);
    if (left.length > 0) this.#schedule();
  }

  #readFor(subscriber: Subscriber): void {
    if (subscriber.state !== "reading") return;
    const { cursor: after, knownDrops, selection } = subscriber;
    const drops = this.#log.drops;
    const failed = (error: unknown) => this.#parts.onError(subscriber, error);
    try {
      const slice = this.#log.read({ selection, after, knownDrops, limitBytes: chunkBytes });
      if (slice instanceof Promise) slice.then((read) => this.#take(subscriber, read, drops)).catch(failed);
      else this.#take(subscriber, slice, drops);
    } catch (error) {
      failed(error);
    }
  }

  #take(subscriber: Subscriber, { entries, next, gap }: Slice, drops: number): void {
    if (subscriber.state !== "reading") return;
    const parts: Buffer[] = [];
    if (gap || subscriber.lost !== "no") {
      const before = this.#log.position((entries[0]?.sequence ?? next + 1) - 1);
      const may = subscriber.lost !== "yes" && (gap?.may ?? true);
      const data: GapData = {
        reason: subscriber.lost === "no" ? "dropped" : "unknown",
        may,
        channels: gap?.channels ?? [],
      };
      parts.push(Buffer.from(gapBlock(before, data)));
      this.counters.gaps++;
      subscriber.lost = "no";
      subscriber.knownDrops = drops;
    }
    for (const chunk of encodeEntries(entries, subscriber.group.form)) parts.push(chunk.bytes);
    subscriber.cursor = next;
    this.counters.deliveries += entries.length;
    const open =
      parts.length === 0 || subscriber.sink.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
    if (!open) this.#stop(subscriber, next);
    else if (this.#parts.streamRate !== Infinity && this.#pace(subscriber, next, entries.length)) return;
    else if (next === this.#log.tail) this.#goLive(subscriber);
    else this.#readSoon(subscriber);
  }

  #goLive(subscriber: Subscriber): void {
    subscriber.state = "live";
    subscriber.forgetSelection();
    subscriber.group.addLive(subscriber);
  }

  /** Waits for the sink to drain. */
  #stop(subscriber: Subscriber, cursor: number): void {
    if (subscriber.state === "closed") return;
    if (subscriber.state === "live") subscriber.group.removeLive(subscriber);
    subscriber.state = "full";
    subscriber.cursor = cursor;
    subscriber.fullSinceMs = Date.now();
    this.counters.lags++;
  }

  /** Counts what a stream was sent against its rate; answers whether it is to wait. */
  #pace(subscriber: Subscriber, cursor: number, entries: number): boolean {
    subscriber.allowance = this.#allow(subscriber) - entries;
    if (subscriber.allowance > 0) return false;
    this.#stop(subscriber, cursor);
    this.counters.paced++;
    this.#paced.add(subscriber);
    return true;
  }

  /** What a stream may be sent now: a bucket that fills with time. */
  #allow(subscriber: Subscriber): number {
    const { streamRate } = this.#parts;
    const nowMs = performance.now();
    const gained = ((nowMs - subscriber.allowedAtMs) / 1000) * streamRate;
    subscriber.allowedAtMs = nowMs;
    subscriber.allowance = Math.min(subscriber.allowance + gained, Math.max(1, streamRate * burstSeconds));
    return subscriber.allowance;
  }
}
