/** Rare marks along a log, such as "what lies up to here is older than …": retention cuts at marks, not entry by entry. */
export class Marks {
  #values: number[] = [];
  #sequences: number[] = [];
  #head = 0;

  /** The newest mark's value; -Infinity when there is none. */
  get last(): number {
    return this.#head < this.#values.length ? (this.#values.at(-1) as number) : -Infinity;
  }

  /** A mark with a higher value, of a clock that was ahead, is covered by this one: it would hold up all behind it. */
  push(value: number, sequence: number): void {
    while (this.last > value) {
      this.#values.pop();
      this.#sequences.pop();
    }
    this.#values.push(value);
    this.#sequences.push(sequence);
  }

  /** Removes the oldest mark and answers its sequence, if its value is at most `value`. */
  takeUpTo(value: number): number | undefined {
    if (this.#head >= this.#values.length || (this.#values[this.#head] as number) > value) return undefined;
    const sequence = this.#sequences[this.#head++];
    if (this.#head > 1024 && this.#head * 2 > this.#values.length) {
      this.#values = this.#values.slice(this.#head);
      this.#sequences = this.#sequences.slice(this.#head);
      this.#head = 0;
    }
    return sequence;
  }
}
