/** An entry's record is smaller than this, and lies below 512 MiB in its file: so place and size fit one number. */
export const maxRecordBytes = 2 ** 24;

/**
 * A queue of the entries of one channel: sequence, size and place of each. Two numbers an entry in one typed array,
 * because a log may hold ten million of them, and a hundred thousand channels: an object for each would cost ten times
 * as much.
 */
export class Ring {
  #pairs = new Float64Array(4);
  #head = 0;
  length = 0;
  bytes = 0;

  push(sequence: number, bytes: number, place: number): void {
    if (this.length * 2 === this.#pairs.length) this.#resize(this.length * 2);
    const slot = this.#slot(this.length++);
    this.#pairs[slot] = sequence;
    this.#pairs[slot + 1] = place * maxRecordBytes + bytes;
    this.bytes += bytes;
  }

  /** Removes the oldest; answers its size. */
  shift(): number {
    const bytes = this.sizeAt(0);
    this.#head = this.#slot(1) / 2;
    this.length--;
    this.bytes -= bytes;
    const capacity = this.#pairs.length / 2;
    // Not at a half: a queue that wavers about a power of two would be copied again and again.
    if (capacity > 64 && this.length * 5 < capacity * 2) this.#resize(capacity / 2);
    return bytes;
  }

  sequenceAt(index: number): number {
    return this.#pairs[this.#slot(index)] as number;
  }

  sizeAt(index: number): number {
    return (this.#pairs[this.#slot(index) + 1] as number) % maxRecordBytes;
  }

  placeAt(index: number): number {
    return Math.floor((this.#pairs[this.#slot(index) + 1] as number) / maxRecordBytes);
  }

  /** Where the entry of a sequence lies now, after its file was rewritten. */
  move(sequence: number, place: number): void {
    const index = this.indexOf(sequence);
    if (index < 0) return;
    this.#pairs[this.#slot(index) + 1] = place * maxRecordBytes + this.sizeAt(index);
  }

  /** Index of the entry of a sequence; -1 when it is not here. */
  indexOf(sequence: number): number {
    const index = this.firstAfter(sequence - 1);
    return index < this.length && this.sequenceAt(index) === sequence ? index : -1;
  }

  /** Index of the first entry with a higher sequence; `length` when there is none. */
  firstAfter(sequence: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.sequenceAt(middle) > sequence) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Capacities are powers of two, so that a slot is found with a mask. */
  #slot(index: number): number {
    return ((this.#head + index) * 2) & (this.#pairs.length - 1);
  }

  #resize(capacity: number): void {
    const pairs = new Float64Array(capacity * 2);
    for (let i = 0; i < this.length; i++) {
      const slot = this.#slot(i);
      pairs[i * 2] = this.#pairs[slot] as number;
      pairs[i * 2 + 1] = this.#pairs[slot + 1] as number;
    }
    this.#pairs = pairs;
    this.#head = 0;
  }
}
