import type { Entry, Log, Slice } from "../log/index.js";
import { type GapData, gapBlock, isPersonalChannel } from "../protocol/index.js";
import { chunkBytes, encodeEntries } from "./form.js";
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
  /** Subscribers of the personal channel `channel`. */
  readonly personal: (channel: string) => Iterable<Subscriber>;
  /** Reading the log failed for this subscriber. */
  readonly onError: (subscriber: Subscriber, error: unknown) => void;
}

/** How long one turn of the event loop may go on reading for those behind. */
const readingBudgetMs = 4;
/** A rate may be exceeded by what it allows in so many seconds, before it holds back. */
const burstSeconds = 1;

/**
 * Moves entries from the log to sinks. Those whose cursor is at the tail share what each commit brings: one Buffer per
 * group. Everyone else reads the log from their cursor on, in bounded batches, until they are at the tail. No
 * subscriber has a queue.
 */
export class Pump {
  readonly groups = new Groups<Subscriber>();
  readonly counters: PumpCounters = { deliveries: 0, gaps: 0, lags: 0, paced: 0 };
  readonly #parts: PumpParts;
  readonly #log: Log;
  readonly #paced = new Set<Subscriber>();
  #flush = 0;
  #reading: Subscriber[] = [];
  #scheduled = false;

  constructor(parts: PumpParts) {
    this.#parts = parts;
    this.#log = parts.log;
  }

  /** Sequence of the last entry that the subscriber was given, or need not be given. */
  cursorOf(subscriber: Subscriber): number {
    return subscriber.state === "live" ? this.#log.tail : subscriber.cursor;
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

  /** What was committed goes to the groups that hold its channel, at once for each subscriber. */
  distribute(entries: readonly Entry[]): void {
    const flush = ++this.#flush;
    const touched: Group<Subscriber>[] = [];
    const own = new Map<Subscriber, Entry[]>();
    for (const entry of entries) {
      if (isPersonalChannel(entry.channel)) {
        for (const subscriber of this.#parts.personal(entry.channel)) {
          if (subscriber.state === "live") own.set(subscriber, [...(own.get(subscriber) ?? []), entry]);
        }
        continue;
      }
      this.groups.holding(entry.channel, (group) => {
        if (group.flush !== flush) {
          group.flush = flush;
          group.pending = [];
          touched.push(group);
        }
        group.pending.push(entry);
      });
    }
    for (const [subscriber, personal] of own) {
      const { group } = subscriber;
      subscriber.ownFlush = flush;
      const shared = group.flush === flush ? group.pending : [];
      const merged = [...shared, ...personal].sort((a, b) => a.sequence - b.sequence);
      this.#deliver([subscriber], merged, group, 0);
    }
    for (const group of touched) {
      this.#deliver(group.live, group.pending, group, flush);
      group.pending = [];
    }
  }

  /** Writes entries to live subscribers, but not to those already written to in the flush `except`. */
  #deliver(
    subscribers: readonly Subscriber[],
    entries: readonly Entry[],
    { form }: Group<Subscriber>,
    except: number,
  ): void {
    if (subscribers.length === 0) return;
    const tail = this.#log.tail;
    const chunks = encodeEntries(entries, form);
    const limited = this.#parts.streamRate !== Infinity;
    // From the end: one that lags is replaced by the last, which has had its turn.
    for (let at = subscribers.length - 1; at >= 0; at--) {
      const subscriber = subscribers[at] as Subscriber;
      if (subscriber.ownFlush === except) continue;
      for (let c = 0; c < chunks.length; c++) {
        const chunk = chunks[c] as (typeof chunks)[number];
        const open = subscriber.sink.write(chunk.bytes);
        this.counters.deliveries += chunk.entries;
        const cursor = c === chunks.length - 1 ? tail : chunk.last;
        if (!open) this.#stop(subscriber, cursor);
        else if (limited) this.#pace(subscriber, cursor, chunk.entries);
        if (subscriber.state !== "live") break;
      }
    }
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
    const endMs = performance.now() + readingBudgetMs;
    let at = 0;
    for (; at < queue.length && performance.now() < endMs; at++) this.#readFor(queue[at] as Subscriber);
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
