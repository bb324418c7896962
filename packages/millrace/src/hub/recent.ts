import type { Entry } from "../log/index.js";
import { withoutReplaced } from "./replaced.js";

/** Entries point into what was published with them: this much of that one group may keep in memory. */
const mostBytes = 1024 * 1024;
const mostEntries = 1024;

/**
 * What has come last for a group whose members have a rate of their own. Each of them is due within its time, and a read of
 * the log visits all channels of a selection: of 1,000 streams with 20 channels each that took four times as long as writing.
 */
export class Recent {
  #entries: Entry[] = [];
  /** All entries of the group behind this sequence are here. */
  #from: number;
  #bytes = 0;
  #newest: Buffer | undefined;
  readonly #keptMs: number;

  /** @param keptMs for how long an entry is needed: in that time all members that take what they are given have had it */
  constructor(from: number, keptMs = Infinity) {
    this.#from = from;
    this.#keptMs = keptMs;
  }

  push(entry: Entry): void {
    // Twice the time, so that this is done for many at once.
    if (entry.timeMs - (this.#entries[0]?.timeMs ?? Infinity) > 2 * this.#keptMs)
      this.#cut(entry.timeMs - this.#keptMs);
    if (entry.bytes !== this.#newest) {
      this.#newest = entry.bytes;
      this.#bytes += entry.bytes.buffer.byteLength;
    }
    if (this.#bytes > mostBytes || this.#entries.length === mostEntries) this.clear(entry.sequence);
    else this.#entries.push(entry);
  }

  /** All behind a sequence but for those with a newer one of the same key; undefined: not all are here, or they are too many. */
  behind(after: number, limitBytes: number): Entry[] | undefined {
    if (after < this.#from) return undefined;
    const entries = this.#entries;
    const first =
      (entries[0]?.sequence ?? Infinity) > after ? 0 : entries.findIndex(({ sequence }) => sequence > after);
    const latest = withoutReplaced(first === 0 ? entries : entries.slice(first < 0 ? entries.length : first));
    let bytes = 0;
    for (const { start, end } of latest) bytes += end - start;
    return bytes > limitBytes ? undefined : latest;
  }

  #cut(beforeMs: number): void {
    const all = this.#entries;
    const first = all.findIndex(({ timeMs }) => timeMs >= beforeMs);
    const kept = first < 0 ? [] : all.slice(first);
    this.clear((all.at(-kept.length - 1) as Entry).sequence);
    for (const entry of kept) this.push(entry);
  }

  /** Nobody needs what came up to this sequence. */
  clear(through: number): void {
    this.#from = through;
    this.#entries = [];
    this.#bytes = 0;
    this.#newest = undefined;
  }
}
