import type { Entry, Log } from "../log/index.js";
import { cursorBlock, gapBlock, isWithin, type Selection, selects, withDefaults } from "../protocol/index.js";
import type { SharedPart } from "../sink/index.js";
import type { Batch } from "./batch.js";
import { CatchUp } from "./catch-up.js";
import { Clocks } from "./clocks.js";
import { Compressors } from "./compressor.js";
import { type Chunk, encodeEntries } from "./form.js";
import type { Group, Groups } from "./groups.js";
import { broadcastChannel } from "./notify.js";
import { Pacer } from "./pacer.js";
import { Rounds } from "./rounds.js";
import type { Subscriber } from "./subscriber.js";
import { defaultTurn, type Turn } from "./turn.js";

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
  readonly groups: Groups<Subscriber>;
  /** Entries a second that one stream is sent at most; Infinity: no bound. */
  readonly streamRate: number;
  readonly turn: Partial<Turn> | undefined;
  /** Subscribers of the personal channel `channel`. */
  readonly personal: (channel: string) => Iterable<Subscriber>;
  /** The subscriber has all that will ever come for it. */
  readonly onEnd: (subscriber: Subscriber) => void;
  /** Reading the log failed for this subscriber. */
  readonly onError: (subscriber: Subscriber, error: unknown) => void;
}

/**
 * Moves entries from the log to sinks. Those at the tail share what each commit brings; everyone else reads the log from
 * their cursor on until they are at the tail. No subscriber has a queue. The states are drawn in subscriber.ts.
 */
export class Pump {
  readonly counters: PumpCounters = { deliveries: 0, gaps: 0, lags: 0, paced: 0 };
  readonly #log: Log;
  readonly #groups: Groups<Subscriber>;
  readonly #rounds: Rounds;
  readonly #catchUp: CatchUp;
  readonly #pacer: Pacer;
  readonly #clocks = new Clocks<Subscriber>((subscriber) => {
    if (subscriber.state === "held") this.#release(subscriber);
  });
  readonly #compressors = new Compressors<Group<Subscriber>>();
  readonly #onEnd: (subscriber: Subscriber) => void;

  constructor({ log, groups, streamRate, turn: given, personal, onEnd, onError }: PumpParts) {
    const turn = withDefaults(defaultTurn, given);
    this.#log = log;
    this.#groups = groups;
    this.#onEnd = onEnd;
    this.#pacer = new Pacer(streamRate);
    this.#rounds = new Rounds({
      ...{ turn, personal, groups, tail: log.tail, compressors: this.#compressors, keepsRecent: !log.shared },
      deliver: (subscriber, chunks, from, to) => this.#deliver(subscriber, chunks, from, to),
      hold: (subscriber, cursor) => this.#hold(subscriber, cursor),
    });
    this.#catchUp = new CatchUp({
      ...{ log, turn, onError },
      take: (subscriber, batch) => this.#take(subscriber, batch),
    });
  }

  /** Live subscribers that are idle have everything up to here. */
  get settled(): number {
    return this.#rounds.settled;
  }

  /** What was committed to the log. */
  distribute(entries: readonly Entry[]): void {
    this.#rounds.distribute(entries);
  }

  /** The log has gone on, and nothing of that is for anyone here. */
  settle(): void {
    this.#rounds.settle(this.#log.tail);
  }

  /**
   * Entries of a shared log that come late: others have been committed that lie behind them. Who is live has not had them.
   * They move no cursor back: the block that follows them has the right id.
   */
  deliverLate(entries: readonly Entry[], subscribers: Iterable<Subscriber>): void {
    for (const subscriber of subscribers) {
      for (const entry of entries) if (reads(subscriber, entry.channel)) this.#deliverLate(subscriber, entry);
    }
  }

  #deliverLate(subscriber: Subscriber, entry: Entry): void {
    const { state, group, liveFrom } = subscriber;
    const cursor = this.cursorOf(subscriber);
    const isBefore = entry.sequence <= cursor;
    if (state === "live" && isBefore && entry.sequence > liveFrom) {
      const blocks = encodeEntries([entry], group.form).map(({ bytes }) => bytes);
      const end = Buffer.from(cursorBlock(this.#log.position(cursor)));
      this.#write(subscriber, Buffer.concat([...blocks, end]), cursor, 1);
      return;
    }
    // Who has read meanwhile, or was given what lies behind it, may have missed it.
    if (isBefore && subscriber.lost === "no") subscriber.lost = "may";
    if (state === "live") this.#readAgain(subscriber);
  }

  /** Entries of a shared log may have been missed here: who is live reads from its cursor. `may`: some are lost, too. */
  reset(subscribers: Iterable<Subscriber>, lost: "no" | "may"): void {
    for (const subscriber of subscribers) {
      if (subscriber.lost === "no") subscriber.lost = lost;
      if (subscriber.state === "live") this.#readAgain(subscriber);
    }
  }

  /** Lets a live one read from its cursor on. */
  #readAgain(subscriber: Subscriber): void {
    subscriber.cursor = this.cursorOf(subscriber);
    subscriber.due = undefined;
    this.#leaveLive(subscriber);
    this.#read(subscriber);
  }

  /** Sequence of the last entry that the subscriber was given, or need not be given. */
  cursorOf(subscriber: Subscriber): number {
    return subscriber.state === "live" ? this.#rounds.cursorOf(subscriber) : subscriber.cursor;
  }

  /** Whether the subscriber is live and has everything up to `settled`, no more and no less. */
  isIdle({ state, group, due, cursor }: Subscriber): boolean {
    return state === "live" && group.pending.length === 0 && !due && cursor <= this.settled;
  }

  /** Whether only time holds it back: the rate for one stream, or its clock. */
  isWaiting({ state, sinkFull }: Subscriber): boolean {
    return state === "held" || (state === "full" && !sinkFull);
  }

  /** Starts a subscriber at its cursor. `open`: its sink takes more. */
  start(subscriber: Subscriber, open: boolean): void {
    if (subscriber.cadence) subscriber.cadence.ownThrough = this.#log.tail;
    if (!open) this.#fill(subscriber, subscriber.cursor);
    else if (this.#isAtTail(subscriber) && subscriber.lost === "no" && !isOver(subscriber)) this.#goLive(subscriber);
    else this.#release(subscriber); // what it has missed it need not wait for
  }

  /** A channel has ended. Those who are not live find out when they have read it. */
  end(channel: string): void {
    this.#groups.ending(channel, ({ live, endsAt }) => {
      for (const subscriber of [...live]) if (this.cursorOf(subscriber) >= endsAt) this.#onEnd(subscriber);
    });
  }

  /** The sink has emptied. */
  resume(subscriber: Subscriber): void {
    subscriber.sinkFull = false;
    if (subscriber.state === "full" && !this.#pacer.isWaiting(subscriber)) this.#readOn(subscriber);
  }

  /** Lets the streams go on whose rate allows it again, if their sinks do. */
  refill(): void {
    for (const subscriber of this.#pacer.release()) if (!subscriber.sinkFull) this.#readOn(subscriber);
  }

  /** Gives back what compression holds of groups that are quiet. */
  sweep(): void {
    this.#compressors.sweep();
  }

  /** Whether the last that the subscriber was written are bytes that its group shares, not longer than that ago. */
  isInStep({ group, sink }: Subscriber, withinMs: number): boolean {
    return this.#compressors.get(group)?.hasServed(sink, withinMs) ?? false;
  }

  /** Bytes that are no entry, such as a heartbeat. */
  writeTo(subscriber: Subscriber, bytes: Uint8Array): void {
    if (!subscriber.sink.write(bytes)) this.#fill(subscriber, this.cursorOf(subscriber));
  }

  remove(subscriber: Subscriber): void {
    if (subscriber.state === "closed") return;
    subscriber.cursor = this.cursorOf(subscriber);
    this.#leaveLive(subscriber);
    subscriber.state = "closed";
    this.#pacer.forget(subscriber);
    this.#clocks.forget(subscriber);
    subscriber.following?.end();
    this.#leave(subscriber.group);
  }

  /**
   * Gives a subscriber another selection at its cursor, and answers with that. What a round or a read under way has for
   * it is for the selection before, and void: see `Rounds.#writeOwn` and `CatchUp.#readFor`.
   */
  select(subscriber: Subscriber, selection: Selection): number {
    const { group: before, state } = subscriber;
    const cursor = this.cursorOf(subscriber);
    const group = this.#groups.join(selection, before);
    this.#leaveLive(subscriber);
    subscriber.group = group;
    subscriber.cursor = cursor;
    subscriber.due = undefined;
    subscriber.forgetSelection();
    this.#leave(before);
    // What it was told, or need not be told, of drops concerns the channels that it had.
    if (cursor < this.#log.tail && !isWithin(selection, before.selection)) subscriber.knownDrops = -1;
    if (state === "live") {
      if (cursor >= this.settled && isFollowed(subscriber) && !isOver(subscriber)) group.addLive(subscriber);
      else this.#readOn(subscriber);
    }
    return cursor;
  }

  #leave(group: Group<Subscriber>): void {
    this.#groups.leave(group);
    if (group.members === 0) this.#compressors.free(group);
  }

  #readOn(subscriber: Subscriber): void {
    const { cursor, cadence } = subscriber;
    if (cadence && cursor >= cadence.releasedThrough) this.#hold(subscriber, cursor);
    else this.#read(subscriber);
  }

  #read(subscriber: Subscriber): void {
    subscriber.state = "reading";
    this.#catchUp.add(subscriber);
  }

  /** One that has everything up to `cursor`, until it is time. */
  #hold(subscriber: Subscriber, cursor: number): void {
    const { cadence, group } = subscriber;
    this.#leaveLive(subscriber);
    subscriber.cursor = Math.max(subscriber.cursor, cursor);
    const dueMs = cadence ? cadence.releasedAtMs + group.everyMs : 0;
    if (!cadence || dueMs <= performance.now()) this.#release(subscriber);
    else {
      subscriber.state = "held";
      this.#clocks.hold(subscriber, cadence, dueMs);
    }
  }

  /**
   * Lets it read what is there. Of a key that changes all the time this is the value at the time of reading, not that of
   * its release, which has been replaced by then: a stream that was held to that got nothing of such a key.
   */
  #release(subscriber: Subscriber): void {
    const { cadence } = subscriber;
    if (cadence) {
      cadence.releasedThrough = this.#log.tail;
      cadence.releasedAtMs = performance.now();
    }
    this.#read(subscriber);
  }

  /** Whether all that it has not had is still to be committed, and will be. */
  #isAtTail(subscriber: Subscriber): boolean {
    return subscriber.cursor === this.#log.tail && isFollowed(subscriber);
  }

  #goLive(subscriber: Subscriber): void {
    subscriber.liveFrom = subscriber.cursor;
    subscriber.state = "live";
    subscriber.forgetSelection();
    subscriber.group.addLive(subscriber);
    subscriber.sink.atTail?.();
  }

  #leaveLive(subscriber: Subscriber): void {
    if (subscriber.state === "live") subscriber.group.removeLive(subscriber);
  }

  /** The sink is full: waits for it to drain. */
  #fill(subscriber: Subscriber, cursor: number): void {
    subscriber.sinkFull = true;
    subscriber.fullSinceMs = Date.now();
    this.counters.lags++;
    this.#stop(subscriber, cursor);
  }

  #stop(subscriber: Subscriber, cursor: number): void {
    if (subscriber.state === "closed") return;
    this.#leaveLive(subscriber);
    subscriber.cursor = cursor;
    subscriber.state = "full";
  }

  /** Writes chunks to a live subscriber until it is full. */
  #deliver(subscriber: Subscriber, chunks: readonly Chunk[], from: number, to: number): void {
    for (let at = 0; at < chunks.length; at++) {
      const { bytes, last, entries, shared } = chunks[at] as Chunk;
      if (entries > this.#pacer.allowance(subscriber)) {
        // A part of the chunk would do: it is read from the log, where one can be had.
        this.#stop(subscriber, Math.max(subscriber.cursor, from));
        this.#readOn(subscriber);
        return;
      }
      const cursor = at === chunks.length - 1 ? to : last;
      if (!this.#write(subscriber, bytes, cursor, entries, shared)) return;
    }
    subscriber.cursor = to;
    if (isOver(subscriber)) this.#onEnd(subscriber);
  }

  /** Takes what was read for a subscriber that is behind. */
  #take(subscriber: Subscriber, batch: Batch): void {
    if (subscriber.state !== "reading") return;
    const read = batch.entriesBehind(subscriber.cursor);
    const due = withoutOldBroadcasts(subscriber, read);
    const allowed = this.#pacer.allowance(subscriber);
    const entries = due.length > allowed ? due.slice(0, allowed) : due;
    const next = entries.length < due.length ? (entries.at(-1) as Entry).sequence : batch.next;
    // First: what moves the cursor makes the batch's bytes behind it others.
    const bytes =
      entries === read
        ? batch.bytesBehind(subscriber.cursor)
        : Buffer.concat(encodeEntries(entries, subscriber.group.form).map((chunk) => chunk.bytes));
    if (
      (batch.gap || subscriber.lost !== "no") &&
      !this.#sayGap(subscriber, batch, (entries[0]?.sequence ?? next + 1) - 1)
    )
      return;
    subscriber.cursor = next;
    if (entries.length > 0 && !this.#write(subscriber, bytes, next, entries.length)) return;
    if (isOver(subscriber)) this.#onEnd(subscriber);
    else if (this.#isAtTail(subscriber)) this.#goLive(subscriber);
    else this.#readOn(subscriber);
  }

  /** `before`: the sequence behind which what is there goes on. Answers whether the subscriber takes more. */
  #sayGap(subscriber: Subscriber, { gap, drops }: Batch, before: number): boolean {
    const reason = subscriber.lost === "no" ? "dropped" : "unknown";
    // Of a position that is not of this log it is not known whether anything followed it.
    const may = gap?.may ?? true;
    const block = gapBlock(this.#log.position(before), { reason, may, channels: gap?.channels ?? [] });
    subscriber.lost = "no";
    subscriber.knownDrops = drops;
    this.counters.gaps++;
    return this.#write(subscriber, Buffer.from(block), before, 0);
  }

  /** Answers whether the subscriber takes more. */
  #write(subscriber: Subscriber, bytes: Buffer, cursor: number, entries: number, shared?: SharedPart): boolean {
    const open = subscriber.sink.write(bytes, shared);
    subscriber.cursor = cursor;
    this.counters.deliveries += entries;
    const allowed = this.#pacer.spend(subscriber, entries);
    if (!open) this.#fill(subscriber, cursor);
    if (!allowed) {
      this.counters.paced++;
      this.#stop(subscriber, cursor);
    }
    return open && allowed && subscriber.state !== "closed";
  }
}

/** A client that begins in the past reads its channels from there, but hears what is said to everybody from now on. */
function withoutOldBroadcasts({ cursor, broadcastsAfter }: Subscriber, entries: readonly Entry[]): readonly Entry[] {
  if (cursor >= broadcastsAfter) return entries;
  const isOld = ({ channel, sequence }: Entry) => channel === broadcastChannel && sequence <= broadcastsAfter;
  // The same entries where there are none: their bytes are shared.
  return entries.some(isOld) ? entries.filter((entry) => !isOld(entry)) : entries;
}

const reads = ({ group, ownChannels }: Subscriber, channel: string): boolean =>
  channel === broadcastChannel || selects(group.selection, channel) || ownChannels.includes(channel);

/** Whether the log commits here all that it reads: one that is shared takes a moment for that. */
const isFollowed = ({ group, following }: Subscriber): boolean =>
  (group.following?.live ?? true) && (following?.live ?? true);

const isOver = ({ cursor, group }: Subscriber): boolean => cursor >= group.endsAt;
