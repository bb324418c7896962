import { type Selection, selects } from "../protocol/index.js";
import type { Gap, Retention } from "./log.js";
import { Marks } from "./marks.js";
import { Members } from "./members.js";
import { behindNewest, mergeAfter, type Refs } from "./merge.js";
import { Ring } from "./ring.js";

interface Channel {
  readonly name: string;
  readonly ring: Ring;
  /** Sequence of the newest entry that was dropped; 0 when none was. */
  droppedThrough: number;
  /** `Channels.drops` when that happened. */
  droppedAt: number;
  /** Whether something up to here was dropped is not known: the name may have been forgotten before it came (again). */
  unknownThrough: number;
  emptySinceMs: number;
}

/** What is remembered of the entries that are gone: enough to say a gap exactly. */
export interface DropRecord {
  /** Newest dropped sequence of each channel. */
  readonly channels: Readonly<Record<string, number>>;
  /** For channels that are remembered no longer: something up to here may have been dropped. No entry up to here is retained. */
  readonly forgottenThrough: number;
  /** `Channel.unknownThrough` of each channel where it is not 0. */
  readonly unknown: Readonly<Record<string, number>>;
  /** Newest entry when this was written: a channel with entries up to here was known by then. */
  readonly through: number;
}

const maxEmptyChannels = 100_000;
const maxNamedInGap = 100;

/**
 * Which entries are retained, by channel, and what is known of those that were dropped. Retention removes from the
 * front only, so one number per channel tells every cursor whether it has missed something.
 */
export class Channels {
  readonly retention: Retention;
  readonly #release: (sequence: number, bytes: number) => void;
  readonly #all = new Map<string, Channel>();
  readonly #members = new Members(this.#all);
  /** Channels without entries, those empty for longest first. */
  readonly #empty = new Map<string, Channel>();
  readonly #ages = new Marks();
  readonly #sizes = new Marks();
  #addedBytes = 0;
  #maxDroppedThrough = 0;
  /** The newest drop of a channel that is forgotten: see `Channel.droppedAt`. */
  #forgottenAt = 0;
  /** Nothing is retained before it. */
  #oldest = 0;
  #last = { sequence: 0, timeMs: 0 };
  #markedThrough = 0;
  /** While an earlier run's entries are added: see `DropRecord.through`, and what `restore` was told. */
  #restored = { through: 0, lostThrough: 0 };
  forgottenThrough = 0;
  entries = 0;
  bytes = 0;
  drops = 0;

  /** @param release is told of each entry that is dropped, so that its room can be used again */
  constructor(retention: Retention, release: (sequence: number, bytes: number) => void) {
    this.retention = retention;
    this.#release = release;
  }

  get size(): number {
    return this.#all.size;
  }

  add(name: string, sequence: number, bytes: number, place: number, timeMs: number): void {
    const { events, channelBytes, totalBytes, ageMs } = this.retention;
    const channel = this.#channel(name, sequence);
    channel.ring.push(sequence, bytes, place);
    if (channel.ring.length === 1) this.#empty.delete(name);
    this.entries++;
    this.bytes += bytes;
    this.#addedBytes += bytes;
    while (channel.ring.length > 1 && (channel.ring.length > events || channel.ring.bytes > channelBytes)) {
      this.#drop(channel, timeMs);
    }
    // A hundred marks bound how far an exact limit can be missed: one in a hundred, and never beyond the limit itself.
    // This entry comes behind the mark: after a pause it would lend its youth to all that came before the pause.
    if (timeMs - this.#ages.last > Math.min(1000, ageMs / 100)) this.#markAge();
    this.#last = { sequence, timeMs };
    if (this.#addedBytes - this.#sizes.last > totalBytes / 100) this.#sizes.push(this.#addedBytes, sequence);
    while (this.bytes > totalBytes && this.entries > 1) {
      const through = this.#sizes.takeUpTo(Infinity);
      if (through === undefined) break;
      this.#dropThrough(Math.min(through, sequence - 1), timeMs);
    }
  }

  /** Drops what has become too old, and forgets channels that have been empty for long. */
  sweep(nowMs: number): void {
    this.#markAge();
    const oldest = nowMs - this.retention.ageMs;
    let through = 0;
    for (let mark = this.#ages.takeUpTo(oldest); mark !== undefined; mark = this.#ages.takeUpTo(oldest)) through = mark;
    if (through > 0) this.#dropThrough(through, nowMs);
    for (const channel of this.#empty.values()) {
      const old = channel.emptySinceMs < nowMs - this.retention.memoryAgeMs;
      if (!old && this.#empty.size <= maxEmptyChannels) break;
      if (channel.droppedThrough < this.#oldest) this.#forget(channel);
    }
  }

  /** Where the oldest entries of a selection behind `after` are. */
  select(selection: Selection, after: number, limitBytes: number): Refs {
    return mergeAfter(this.#rings(selection), after, limitBytes);
  }

  /** The sequence behind which the newest `count` entries of the selection lie. */
  rewind(selection: Selection, count: number, tail: number): number {
    if (count === 0) return tail;
    return behindNewest(this.#rings(selection), count, tail);
  }

  /** What a cursor at `after` has missed of its selection; of that, only what was dropped after the count `knownDrops`. */
  gap(selection: Selection, after: number, knownDrops: number): Gap | undefined {
    const concerned: string[] = [];
    if (this.#maxDroppedThrough > after) {
      for (const channel of this.#selected(selection)) {
        if (channel.droppedThrough <= after || channel.droppedAt <= knownDrops) continue;
        concerned.push(channel.name);
        if (concerned.length === maxNamedInGap) break;
      }
    }
    if (concerned.length > 0) return { may: false, channels: concerned };
    if (this.forgottenThrough <= after || this.#forgottenAt <= knownDrops) return undefined;
    const unknown =
      selection.prefixes.length > 0 ||
      selection.exact.some((name) => (this.#all.get(name)?.unknownThrough ?? this.forgottenThrough) > after);
    return unknown ? { may: true, channels: [] } : undefined;
  }

  /** How many channels a selection has at present. */
  width(selection: Selection): number {
    let width = selection.exact.length;
    for (const prefix of selection.prefixes) width += this.#members.of(prefix).size;
    return width;
  }

  /** Whether an entry that was added, or is found in a file, is retained. */
  has(name: string, sequence: number): boolean {
    return sequence > this.forgottenThrough && sequence > (this.#all.get(name)?.droppedThrough ?? 0);
  }

  /** Whether the selection holds the entry, and it is retained. */
  selects(selection: Selection, name: string, sequence: number): boolean {
    return selects(selection, name) && this.has(name, sequence);
  }

  move(name: string, sequence: number, place: number): void {
    this.#all.get(name)?.ring.move(sequence, place);
  }

  record(): DropRecord {
    const channels: Record<string, number> = Object.create(null);
    const unknown: Record<string, number> = Object.create(null);
    for (const { name, droppedThrough, unknownThrough } of this.#all.values()) {
      if (droppedThrough > 0) channels[name] = droppedThrough;
      if (unknownThrough > 0) unknown[name] = unknownThrough;
    }
    return { channels, forgottenThrough: this.forgottenThrough, unknown, through: this.#last.sequence };
  }

  /**
   * Takes over what an earlier run knew. Call it before entries are added.
   * @param lostThrough nothing is known of what was dropped up to here, of any channel
   */
  restore({ channels, forgottenThrough, unknown, through }: DropRecord, lostThrough: number, nowMs: number): void {
    this.forgottenThrough = Math.max(forgottenThrough, lostThrough);
    this.#restored = { through, lostThrough };
    const known = (name: string) => {
      const channel = this.#channel(name, 0);
      channel.emptySinceMs = nowMs;
      this.#empty.set(name, channel);
      return channel;
    };
    for (const [name, dropped] of Object.entries(channels)) {
      known(name).droppedThrough = dropped;
      this.#maxDroppedThrough = Math.max(this.#maxDroppedThrough, dropped);
    }
    for (const [name, behind] of Object.entries(unknown)) known(name).unknownThrough = Math.max(behind, lostThrough);
  }

  /** Call it once the entries of an earlier run are added. A log that lost its end gives those sequences out again. */
  endRestore(tail: number): void {
    this.#restored.through = 0;
    for (const channel of this.#all.values()) {
      channel.droppedThrough = Math.min(channel.droppedThrough, tail);
      channel.unknownThrough = Math.min(channel.unknownThrough, tail);
    }
    this.#maxDroppedThrough = Math.min(this.#maxDroppedThrough, tail);
    this.forgottenThrough = Math.min(this.forgottenThrough, tail);
    this.#findOldest(tail);
  }

  #channel(name: string, sequence = Infinity): Channel {
    let channel = this.#all.get(name);
    if (!channel) {
      channel = {
        name,
        ring: new Ring(),
        droppedThrough: 0,
        droppedAt: 0,
        unknownThrough: sequence <= this.#restored.through ? this.#restored.lostThrough : this.forgottenThrough,
        emptySinceMs: 0,
      };
      this.#all.set(name, channel);
      this.#members.add(channel);
    }
    return channel;
  }

  *#selected(selection: Selection): Generator<Channel> {
    for (const name of selection.exact) {
      const channel = this.#all.get(name);
      if (channel) yield channel;
    }
    for (const prefix of selection.prefixes) yield* this.#members.of(prefix);
  }

  #rings(selection: Selection): Ring[] {
    const rings: Ring[] = [];
    for (const channel of this.#selected(selection)) if (channel.ring.length > 0) rings.push(channel.ring);
    return rings;
  }

  #drop(channel: Channel, nowMs: number): void {
    const sequence = channel.ring.sequenceAt(0);
    const bytes = channel.ring.shift();
    this.entries--;
    this.bytes -= bytes;
    channel.droppedThrough = sequence;
    channel.droppedAt = ++this.drops;
    if (sequence > this.#maxDroppedThrough) this.#maxDroppedThrough = sequence;
    if (channel.ring.length === 0) {
      channel.emptySinceMs = nowMs;
      this.#empty.set(channel.name, channel);
    }
    this.#release(sequence, bytes);
  }

  #dropThrough(through: number, nowMs: number): void {
    // Most marks concern nothing when other limits drop more, and a walk over a hundred thousand channels takes time.
    if (through < this.#oldest) return;
    for (const channel of this.#all.values()) {
      while (channel.ring.length > 0 && channel.ring.sequenceAt(0) <= through) this.#drop(channel, nowMs);
    }
    this.#findOldest(this.#last.sequence);
  }

  #findOldest(tail: number): void {
    this.#oldest = tail + 1;
    for (const { ring } of this.#all.values()) {
      if (ring.length > 0) this.#oldest = Math.min(this.#oldest, ring.sequenceAt(0));
    }
  }

  /**
   * Only when every entry up to its last is gone, whatever the channel: its own may still lie in a file, and would come
   * back with its name, or with the next start.
   */
  #forget(channel: Channel): void {
    this.#empty.delete(channel.name);
    this.#all.delete(channel.name);
    this.#members.delete(channel);
    this.forgottenThrough = Math.max(this.forgottenThrough, channel.droppedThrough);
    this.#forgottenAt = Math.max(this.#forgottenAt, channel.droppedAt);
  }

  /** Every entry up to the newest is at most as old as this mark says. */
  #markAge(): void {
    if (this.#last.sequence <= this.#markedThrough) return;
    this.#ages.push(this.#last.timeMs, this.#last.sequence);
    this.#markedThrough = this.#last.sequence;
  }
}
