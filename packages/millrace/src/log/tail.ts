import type { Entry } from "./entry.js";

/** The newest entries, in memory, without holes: what nearly every reconnecting client asks for. */
export class TailCache {
  readonly #limitBytes: number;
  #entries: (Entry | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  /** @param limitBytes how much is kept; the newest entry always is */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Sequence of the oldest entry here; Infinity when there is none. */
  get first(): number {
    return this.#entries[this.#head]?.sequence ?? Infinity;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.end - entry.start;
    while (this.#bytes > this.#limitBytes && this.#head < this.#entries.length - 1) {
      const oldest = this.#entries[this.#head] as Entry;
      this.#entries[this.#head++] = undefined;
      this.#bytes -= oldest.end - oldest.start;
    }
    // Cutting the empty front off one by one would move the whole array each time.
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  get(sequence: number): Entry | undefined {
    return sequence < this.first ? undefined : this.#entries[this.#head + sequence - this.first];
  }
}
