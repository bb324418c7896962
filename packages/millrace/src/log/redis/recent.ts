import { type Selection, selects } from "../../protocol/index.js";
import type { Entry } from "../entry.js";
import type { Gap, ReadRequest } from "../log.js";
import type { Drops } from "./message.js";

interface Mark extends Drops {
  /** The newest sequence of the channel that was seen here. */
  readonly last: number;
}

const maxNamedInGap = 100;
const manyMarks = 10_000;

/** The newest entries that were committed here, and what is known of their channels: reading near the tail asks nobody. */
export class Recent {
  readonly #limitBytes: number;
  readonly #marks = new Map<string, Mark>();
  #entries: Entry[] = [];
  #bytes = 0;
  #maxDropped = 0;
  /** What lies up to here may not be here any more. */
  floor = 0;

  /** @param limitBytes how much is kept; the newest entry always is */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The newest of a channel that was seen here; `floor` at least, because up to there it may have been forgotten. */
  lastOf(channel: string): number {
    return this.#marks.get(channel)?.last ?? this.floor;
  }

  mark(channel: string, drops: Drops, last: number): void {
    const before = this.#marks.get(channel);
    if (before && before.last > last) return;
    this.#marks.set(channel, { ...drops, last });
    if (drops.dropped > this.#maxDropped) this.#maxDropped = drops.dropped;
  }

  add(entry: Entry): void {
    const { sequence } = entry;
    const newest = this.#entries.at(-1)?.sequence ?? 0;
    if (sequence > newest) this.#entries.push(entry);
    else this.#entries.splice(this.#firstAfter(sequence), 0, entry); // one that was found missing
    this.#bytes += entry.end - entry.start;
    if (this.#bytes > this.#limitBytes * 1.25) this.#cut();
  }

  /** Forgets all up to a sequence, and whatever is later, too. */
  clear(floor: number): void {
    this.#entries = [];
    this.#bytes = 0;
    this.#marks.clear();
    this.floor = Math.max(this.floor, floor);
  }

  /** The entries of a selection behind `after`, in order, up to a bound but one at least, and where to read on. */
  read({ selection, after, limitBytes, conflate }: ReadRequest, tail: number): { entries: Entry[]; next: number } {
    const all = this.#selected(selection, after);
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of conflate ? latestOf([...all]) : all) {
      bytes += entry.end - entry.start;
      if (bytes > limitBytes && entries.length > 0) return { entries, next: (entries.at(-1) as Entry).sequence };
      entries.push(entry);
    }
    return { entries, next: tail };
  }

  /** Looked at one by one: who is far behind takes only the first few. */
  *#selected(selection: Selection, after: number): Generator<Entry> {
    for (let at = this.#firstAfter(after); at < this.#entries.length; at++) {
      const entry = this.#entries[at] as Entry;
      if (!selects(selection, entry.channel)) continue;
      if (entry.sequence > (this.#marks.get(entry.channel)?.dropped ?? 0)) yield entry;
    }
  }

  /** What a cursor at `after`, not before `floor`, has missed. */
  gap({ selection, after, knownDrops = -1, conflate = false }: ReadRequest): Gap | undefined {
    if (this.#maxDropped <= after) return undefined;
    const channels: string[] = [];
    for (const channel of this.#channels(selection)) {
      const mark = this.#marks.get(channel);
      if (!mark) continue;
      const dropped = conflate ? mark.missed : mark.dropped;
      if (dropped <= after || (conflate ? mark.missedAt : mark.droppedAt) <= knownDrops) continue;
      channels.push(channel);
      if (channels.length === maxNamedInGap) break;
    }
    return channels.length > 0 ? { may: false, channels } : undefined;
  }

  *#channels(selection: Selection): Generator<string> {
    yield* selection.exact;
    if (selection.prefixes.length === 0) return;
    const others: Selection = { ...selection, exact: [], key: "" };
    for (const channel of this.#marks.keys()) if (selects(others, channel)) yield channel;
  }

  #firstAfter(sequence: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle] as Entry).sequence > sequence) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** In large steps: to move the whole array for each entry would cost more than to keep it. */
  #cut(): void {
    let at = 0;
    while (this.#bytes > this.#limitBytes && at < this.#entries.length - 1) {
      const { start, end } = this.#entries[at++] as Entry;
      this.#bytes -= end - start;
    }
    this.floor = Math.max(this.floor, this.#entries[at - 1]?.sequence ?? 0);
    this.#entries = this.#entries.slice(at);
    if (this.#marks.size < manyMarks) return;
    for (const [channel, { last }] of this.#marks) if (last <= this.floor) this.#marks.delete(channel);
  }
}

/** Those that no newer one of their channel and key follows. */
function latestOf(entries: readonly Entry[]): Entry[] {
  const seen = new Map<string, Set<string>>();
  const latest: Entry[] = [];
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = entries[at] as Entry;
    const { channel, key } = entry;
    if (key !== undefined) {
      const keys = seen.get(channel) ?? new Set();
      if (keys.has(key)) continue;
      seen.set(channel, keys.add(key));
    }
    latest.push(entry);
  }
  return latest.reverse();
}
