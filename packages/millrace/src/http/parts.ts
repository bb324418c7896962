/** Smaller ones are copied: a Buffer of its own takes some hundred bytes beside what it holds. */
const smallBytes = 4096;
const leastBlockBytes = 256;

/**
 * Bytes that come in parts. What it holds is at most about twice what it was given, however that was cut: bodies in
 * chunks of one byte took four hundred times their bytes when each chunk was kept as it came.
 */
export class Parts {
  readonly #parts: Uint8Array[] = [];
  /** Where small parts go, one behind the other. The next block is as large as all that came before. */
  #block = new Uint8Array(0);
  /** In the block: where the bytes begin that are no part yet, and where they end. */
  #from = 0;
  #to = 0;
  #bytes = 0;

  take(part: Uint8Array): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#mayKeep(part)) {
      this.#closeRun();
      this.#parts.push(part);
      return;
    }
    for (let rest = part; rest.length > 0; ) {
      if (this.#to === this.#block.length) this.#nextBlock();
      const fitting = rest.subarray(0, this.#block.length - this.#to);
      this.#block.set(fitting, this.#to);
      this.#to += fitting.length;
      rest = rest.subarray(fitting.length);
    }
  }

  /** All of it: the part itself, where it came in one. */
  join(): Uint8Array {
    this.#closeRun();
    const [first] = this.#parts;
    return first && this.#parts.length === 1 ? first : Buffer.concat(this.#parts);
  }

  /** A part may lie in memory that it shares with others: HTTP/2's do, and would keep all that was read with them. */
  #mayKeep(part: Uint8Array): boolean {
    if (2 * part.length < part.buffer.byteLength) return false;
    return part.length >= smallBytes || this.#bytes === part.length;
  }

  #closeRun(): void {
    if (this.#to > this.#from) this.#parts.push(this.#block.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  #nextBlock(): void {
    this.#closeRun();
    this.#block = new Uint8Array(Math.max(leastBlockBytes, this.#bytes));
    this.#from = 0;
    this.#to = 0;
  }
}
