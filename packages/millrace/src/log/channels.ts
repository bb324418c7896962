import { broadcastChannel, connectionPrefix, type Selection, selects } from "../protocol/index.js";
import { Latest, unread } from "./latest.js";
import type { Gap, Retention, RetentionPolicy } from "./log.js";
import { Marks } from "./marks.js";
import { Members } from "./members.js";
import { behindNewest, mergeAfter, type Refs } from "./merge.js";
import { type Rule, rulesOf } from "./policies.js";
import { Ring } from "./ring.js";

interface Channel {
  readonly name: string;
  /** What it keeps. Found once: to match its name at each append would cost more than the append. */
  readonly rule: Rule;
  readonly ring: Ring;
  /** Undefined until an entry has a key. */
  latest: Latest | undefined;
  /** Sequence of the newest entry that was dropped; 0 when none was. */
  droppedThrough: number;
  /** `Channels.drops` when that happened. */
  droppedAt: number;
  /** Whether something up to here was dropped is not known: the name may have been forgotten before it came (again). */
  unknownThrough: number;
  emptySinceMs: number;
}

/** A channel with keys. */
export interface KeyedChannel extends Pick<Channel, "name" | "ring"> {
  readonly latest: Latest;
}

/** What is remembered of the entries that are gone: enough to say a gap exactly. */
export interface DropRecord {
  /** Newest dropped sequence of each channel; 0 for one of which nothing was, when entries up to `forgottenThrough` are retained. */
  readonly channels: Readonly<Record<string, number>>;
  /** For channels that are remembered no longer: all up to here was dropped, or nothing was there. */
  readonly forgottenThrough: number;
  /** `Channel.unknownThrough` of each channel where it is not 0. */
  readonly unknown: Readonly<Record<string, number>>;
  /**
   * `Latest.droppedThrough` of each channel where it is not what `channels` says. Missing in stores of versions that knew
   * no conflation.
   */
  readonly latest?: Readonly<Record<string, number>>;
  /** Newest entry when this was written: a channel with entries up to here was known by then. */
  readonly through: number;
}

const maxEmptyChannels = 100_000;
/** A connection whose peer takes nothing for longer is not told that it has missed what was sent to it alone. */
const connectionMemoryMs = 10 * 60_000;
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
  /** The same of connections, which are remembered for a shorter time: most of them have gone. */
  readonly #emptyConnections = new Map<string, Channel>();
  readonly #rules: readonly [...Rule[], Rule];
  readonly #sizes = new Marks();
  #addedBytes = 0;
  #sparedBytes = 0;
  #maxDroppedThrough = 0;
  /** No channel has unread keys behind this one. */
  #unreadThrough = 0;
  /** The newest drop of a channel that is forgotten: see `Channel.droppedAt`. */
  #forgottenAt = 0;
  #last = 0;
  /** While an earlier run's entries are added: see `DropRecord.through`, and what `restore` was told. */
  #restored = { through: 0, lostThrough: 0, nowMs: -Infinity };
  forgottenThrough = 0;
  entries = 0;
  bytes = 0;
  drops = 0;

  /**
   * @param release is told of each entry that is dropped, so that its room can be used again
   * @throws MillraceError `invalid_option` for a policy that is none
   */
  constructor(
    retention: Retention,
    release: (sequence: number, bytes: number) => void,
    policies: readonly RetentionPolicy[] = [],
  ) {
    this.retention = retention;
    this.#release = release;
    this.#rules = rulesOf(retention, policies);
  }

  /** The shortest age of all, in milliseconds. */
  get leastAgeMs(): number {
    return Math.min(...this.#rules.map(({ ageMs }) => ageMs));
  }

  get size(): number {
    return this.#all.size;
  }

  /** @param key the entry's, which a start leaves unread */
  add(
    name: string,
    sequence: number,
    bytes: number,
    place: number,
    timeMs: number,
    key?: string | typeof unread,
  ): void {
    const { totalBytes } = this.retention;
    const channel = this.#channel(name, sequence);
    const { ring, rule } = channel;
    if (key !== undefined) channel.latest ??= new Latest(ring.length, channel.droppedThrough, channel.droppedAt);
    channel.latest?.push(key, sequence);
    if (key === unread) this.#unreadThrough = sequence;
    ring.push(sequence, bytes, place);
    if (ring.length === 1) this.#emptyLike(name).delete(name);
    this.entries++;
    this.bytes += bytes;
    if (rule.spared) this.#sparedBytes += bytes;
    this.#addedBytes += bytes;
    // What a crash brought back is dropped here and not by the next sweep: counted with the bytes in all, it would push
    // out what is older and kept for longer.
    if (timeMs <= this.#restored.nowMs - rule.ageMs) while (ring.length > 0) this.#drop(channel, this.#restored.nowMs);
    while (ring.length > 1 && (ring.length > rule.events || ring.bytes > rule.bytes)) this.#drop(channel, timeMs);
    rule.added(sequence, timeMs);
    this.#last = sequence;
    if (this.#addedBytes - this.#sizes.last > totalBytes / 100) this.#sizes.push(this.#addedBytes, sequence);
    while (this.bytes - this.#sparedBytes > totalBytes && this.entries > 1) {
      const through = this.#sizes.takeUpTo(Infinity);
      if (through === undefined) break;
      for (const each of this.#rules)
        if (!each.spared) each.dueThrough = Math.max(each.dueThrough, Math.min(through, sequence - 1));
      this.#dropDue(timeMs);
    }
  }

  /** Drops what has become too old, and forgets channels that have been empty for long. */
  sweep(nowMs: number): void {
    for (const rule of this.#rules) rule.age(nowMs);
    this.#dropDue(nowMs);
    const { memoryAgeMs } = this.retention;
    this.#forgetOld(this.#empty, nowMs - memoryAgeMs);
    this.#forgetOld(this.#emptyConnections, nowMs - Math.min(memoryAgeMs, connectionMemoryMs));
  }

  #forgetOld(empty: ReadonlyMap<string, Channel>, beforeMs: number): void {
    for (const channel of empty.values()) {
      if (channel.emptySinceMs >= beforeMs && empty.size <= maxEmptyChannels) break;
      this.#forget(channel);
    }
  }

  /** The sequence behind which a channel has had nothing. */
  newestOf(name: string): number {
    const channel = this.#all.get(name);
    if (!channel) return this.#forgottenOf(name);
    const { ring, droppedThrough, unknownThrough } = channel;
    return Math.max(ring.length > 0 ? ring.sequenceAt(ring.length - 1) : 0, droppedThrough, unknownThrough);
  }

  /** Where the oldest entries of a selection behind `after` are; `conflate`: the latest of each key only. */
  select(selection: Selection, after: number, limitBytes: number, conflate = false): Refs {
    return mergeAfter(this.#withEntries(selection), after, limitBytes, conflate);
  }

  /** The sequence behind which the newest `count` entries of the selection lie. */
  rewind(selection: Selection, count: number, tail: number): number {
    if (count === 0) return tail;
    const rings = this.#withEntries(selection).map(({ ring }) => ring);
    return behindNewest(rings, count, tail);
  }

  /**
   * What a cursor at `after` has missed of its selection; of that, only what was dropped after the count `knownDrops`.
   * `conflate`: and what it would have been given.
   */
  gap(selection: Selection, after: number, knownDrops: number, conflate = false): Gap | undefined {
    const concerned: string[] = [];
    if (this.#maxDroppedThrough > after) {
      for (const channel of this.#selected(selection)) {
        const { droppedThrough, droppedAt } = (conflate && channel.latest) || channel;
        if (droppedThrough <= after || droppedAt <= knownDrops) continue;
        concerned.push(channel.name);
        if (concerned.length === maxNamedInGap) break;
      }
    }
    if (concerned.length > 0) return { may: false, channels: concerned };
    if (this.forgottenThrough <= after || this.#forgottenAt <= knownDrops) return undefined;
    const unknown =
      selection.prefixes.length > 0 ||
      selection.exact.some((name) => (this.#all.get(name)?.unknownThrough ?? this.#forgottenOf(name)) > after);
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
    const channel = this.#all.get(name);
    // Of a channel that was forgotten and came again, what lies in a file from before must not come back with its name.
    if (channel) return sequence > channel.droppedThrough && sequence > channel.unknownThrough;
    // With the process its connections have gone: what was sent to them does not come back.
    return sequence > this.forgottenThrough && !ofConnection(name);
  }

  /** Whether the selection holds the entry, and it is retained. */
  selects(selection: Selection, name: string, sequence: number): boolean {
    return selects(selection, name) && this.has(name, sequence);
  }

  /** The channels of a selection that have entries behind `after` whose keys are unread. */
  unread(selection: Selection, after: number): KeyedChannel[] {
    const found: KeyedChannel[] = [];
    if (this.#unreadThrough <= after) return found;
    for (const { name, ring, latest } of this.#selected(selection)) {
      if (!latest || latest.unreadThrough <= after) continue;
      const first = ring.firstAfter(after);
      if (first < ring.length && ring.sequenceAt(first) <= latest.unreadThrough) found.push({ name, ring, latest });
    }
    return found;
  }

  /** Whether a retained entry is the latest of its key. */
  isLatest(name: string, sequence: number): boolean {
    const { ring, latest } = this.#all.get(name) as Channel;
    return !latest?.has(ring.indexOf(sequence));
  }

  move(name: string, sequence: number, place: number): void {
    this.#all.get(name)?.ring.move(sequence, place);
  }

  record(): DropRecord {
    const channels: Record<string, number> = Object.create(null);
    const unknown: Record<string, number> = Object.create(null);
    const latest: Record<string, number> = Object.create(null);
    for (const {
      name,
      droppedThrough,
      unknownThrough,
      ring,
      latest: { droppedThrough: missed } = {},
    } of this.#all.values()) {
      if (ofConnection(name)) continue;
      // Without it, what a long age keeps would be taken for a forgotten channel's that had a short one.
      const spared = ring.length > 0 && ring.sequenceAt(0) <= this.forgottenThrough;
      if (droppedThrough > 0 || spared) channels[name] = droppedThrough;
      if (unknownThrough > 0) unknown[name] = unknownThrough;
      if (missed !== undefined && missed < droppedThrough) latest[name] = missed;
    }
    return { channels, forgottenThrough: this.forgottenThrough, unknown, latest, through: this.#last };
  }

  /**
   * Takes over what an earlier run knew. Call it before entries are added.
   * @param lostThrough nothing is known of what was dropped up to here, of any channel
   */
  restore(
    { channels, forgottenThrough, unknown, latest = {}, through }: DropRecord,
    lostThrough: number,
    nowMs: number,
  ): void {
    this.forgottenThrough = Math.max(forgottenThrough, lostThrough);
    this.#restored = { through, lostThrough, nowMs };
    const known = (name: string) => {
      const channel = this.#channel(name, 0);
      this.#emptied(channel, nowMs);
      return channel;
    };
    for (const [name, dropped] of Object.entries(channels)) {
      known(name).droppedThrough = dropped;
      this.#maxDroppedThrough = Math.max(this.#maxDroppedThrough, dropped);
    }
    for (const [name, missed] of Object.entries(latest)) known(name).latest = new Latest(0, missed, 0);
    for (const [name, behind] of Object.entries(unknown)) known(name).unknownThrough = Math.max(behind, lostThrough);
    if (lostThrough > 0) known(broadcastChannel).unknownThrough = lostThrough;
  }

  /** Call it once the entries of an earlier run are added. A log that lost its end gives those sequences out again. */
  endRestore(tail: number): void {
    this.#restored = { through: 0, lostThrough: 0, nowMs: -Infinity };
    for (const channel of this.#all.values()) {
      for (const dropped of [channel, channel.latest])
        if (dropped) dropped.droppedThrough = Math.min(dropped.droppedThrough, tail);
      channel.unknownThrough = Math.min(channel.unknownThrough, tail);
    }
    this.#maxDroppedThrough = Math.min(this.#maxDroppedThrough, tail);
    this.forgottenThrough = Math.min(this.forgottenThrough, tail);
  }

  #channel(name: string, sequence = Infinity): Channel {
    let channel = this.#all.get(name);
    if (!channel) {
      channel = {
        name,
        rule: this.#rules.find((rule) => rule.holds(name)) ?? (this.#rules.at(-1) as Rule),
        ring: new Ring(),
        latest: undefined,
        droppedThrough: 0,
        droppedAt: 0,
        unknownThrough: sequence <= this.#restored.through ? this.#restored.lostThrough : this.#forgottenOf(name),
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

  #withEntries(selection: Selection): Channel[] {
    const channels: Channel[] = [];
    for (const channel of this.#selected(selection)) if (channel.ring.length > 0) channels.push(channel);
    return channels;
  }

  #drop(channel: Channel, nowMs: number): void {
    const sequence = channel.ring.sequenceAt(0);
    const bytes = channel.ring.shift();
    this.entries--;
    this.bytes -= bytes;
    if (channel.rule.spared) this.#sparedBytes -= bytes;
    channel.droppedThrough = sequence;
    channel.droppedAt = ++this.drops;
    if (sequence > this.#maxDroppedThrough) this.#maxDroppedThrough = sequence;
    channel.latest?.shift(sequence, this.drops);
    if (channel.ring.length === 0) this.#emptied(channel, nowMs);
    this.#release(sequence, bytes);
  }

  #dropDue(nowMs: number): void {
    // Most marks concern nothing when other limits drop more, and a walk over a hundred thousand channels takes time.
    if (this.#rules.every(({ dueThrough, oldest }) => dueThrough < oldest)) return;
    for (const rule of this.#rules) rule.oldest = this.#last + 1;
    for (const channel of this.#all.values()) {
      const { ring, rule } = channel;
      while (ring.length > 0 && ring.sequenceAt(0) <= rule.dueThrough) this.#drop(channel, nowMs);
      if (ring.length > 0) rule.oldest = Math.min(rule.oldest, ring.sequenceAt(0));
    }
  }

  /** What is broadcast is never forgotten: each selection holds it, and all of them would be told of gaps. */
  #emptied(channel: Channel, nowMs: number): void {
    channel.emptySinceMs = nowMs;
    if (channel.name !== broadcastChannel) this.#emptyLike(channel.name).set(channel.name, channel);
  }

  #emptyLike(name: string): Map<string, Channel> {
    return ofConnection(name) ? this.#emptyConnections : this.#empty;
  }

  /** Up to where a channel that is not there may be a forgotten one: no connection's is, for none has another's name. */
  #forgottenOf(name: string): number {
    return name === broadcastChannel || ofConnection(name) ? 0 : this.forgottenThrough;
  }

  /** Of its entries those that still lie in a file are from before `forgottenThrough`: they do not come back. */
  #forget(channel: Channel): void {
    this.#emptyLike(channel.name).delete(channel.name);
    this.#all.delete(channel.name);
    this.#members.delete(channel);
    if (ofConnection(channel.name)) return; // nobody comes back to it: a gap would be told to all others
    this.forgottenThrough = Math.max(this.forgottenThrough, channel.droppedThrough, channel.unknownThrough);
    this.#forgottenAt = Math.max(this.#forgottenAt, channel.droppedAt);
  }
}

const ofConnection = (name: string): boolean => name.startsWith(connectionPrefix);
