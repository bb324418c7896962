import type { Entry, Gap, Slice } from "../log/index.js";
import { encodeEntry, type Form } from "./form.js";

/**
 * What was read of the log behind a sequence, encoded at most once for all who need it: thousands come back at once from
 * about the same place, and a read and a Buffer for each of them is what a herd costs.
 */
export class Batch {
  readonly after: number;
  /** A gap in it is said of what was dropped later than this count of `Log.drops`. */
  readonly knownDrops: number;
  readonly #slice: Slice;
  /** The log's count of drops when it was read. */
  readonly drops: number;
  /** Sequence of the log's newest entry when it was read. */
  readonly tail: number;
  /** About what it takes, in bytes. */
  readonly size: number;
  readonly #form: Form;
  /** All entries encoded, and where each begins in that. */
  #encoded: { readonly bytes: Buffer; readonly starts: readonly number[] } | undefined;
  /** Its parts by their first entry: the same Buffer for all who need the same part. */
  readonly #parts = new Map<number, Buffer>();

  constructor(parts: Pick<Batch, "after" | "knownDrops" | "drops" | "tail"> & { slice: Slice; form: Form }) {
    this.after = parts.after;
    this.knownDrops = parts.knownDrops;
    this.drops = parts.drops;
    this.tail = parts.tail;
    this.size = parts.slice.entries.reduce((bytes, { start, end }) => bytes + end - start, 0);
    this.#slice = parts.slice;
    this.#form = parts.form;
  }

  get gap(): Gap | undefined {
    return this.#slice.gap;
  }

  /** The cursor behind it. */
  get next(): number {
    return this.#slice.next;
  }

  get entries(): readonly Entry[] {
    return this.#slice.entries;
  }

  /** Whether this is what a reader at `after` needs next. One that has had all of it reads anew: more may have come. */
  serves(after: number, knownDrops: number): boolean {
    if (after < this.after || after >= this.next) return false;
    return this.gap ? after === this.after && knownDrops === this.knownDrops : knownDrops >= this.knownDrops;
  }

  /** Those of its entries that are behind a sequence. */
  entriesBehind(after: number): readonly Entry[] {
    return after <= this.after ? this.entries : this.entries.slice(this.#firstBehind(after));
  }

  /** The same, as they are written. */
  bytesBehind(after: number): Buffer {
    const first = this.#firstBehind(after);
    let part = this.#parts.get(first);
    if (!part) {
      this.#encoded ??= join(this.entries.map((entry) => encodeEntry(entry, this.#form)));
      const { bytes, starts } = this.#encoded;
      part = first === 0 ? bytes : bytes.subarray(starts[first] ?? bytes.length);
      this.#parts.set(first, part);
    }
    return part;
  }

  #firstBehind(after: number): number {
    const first = after <= this.after ? 0 : this.entries.findIndex(({ sequence }) => sequence > after);
    return first < 0 ? this.entries.length : first;
  }
}

function join(parts: readonly Buffer[]): { bytes: Buffer; starts: number[] } {
  const starts: number[] = [];
  let bytes = 0;
  for (const part of parts) {
    starts.push(bytes);
    bytes += part.length;
  }
  return { bytes: Buffer.concat(parts, bytes), starts };
}
