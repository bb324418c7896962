import type { Mark, ReadMark } from "./marker.js";

/** What is done with what a scanner finds; one for all connections of a thread. */
export interface Found {
  event(): void;
  /** Bytes of an event's data: the values of its lines, and the line ends between them. */
  data(bytes: number): void;
}

/** A mark is looked for in so many bytes of a line: an envelope may begin with a channel of 256 and a type of 256. */
const markedBytes = 1024;
const field = Buffer.from("data:");
/** From here on a search costs less than looking at each byte. */
const longLine = 32;
const [lf, cr, space] = [0x0a, 0x0d, 0x20];

/**
 * Counts events and bytes of an event stream (WHATWG HTML, "Server-sent events") wherever reads cut it. It makes no text of what it
 * reads: the tester must not be what is measured.
 */
export class Scanner {
  readonly #found: Found;
  readonly #marks: ReadMark | undefined;
  readonly #onMark: (mark: Mark) => void;
  /** Bytes of the line so far. */
  #length = 0;
  /** So far the line is `data:`, or the beginning of it. */
  #isData = true;
  #hasSpace = false;
  /** Data lines of the event so far. */
  #lines = 0;
  #afterCr = false;
  /** The beginning of a line that a read has cut. */
  #held: Buffer | undefined;

  constructor(found: Found, marks?: ReadMark, onMark: (mark: Mark) => void = () => {}) {
    this.#found = found;
    this.#marks = marks;
    this.#onMark = onMark;
  }

  feed(bytes: Buffer, from: number, to: number): void {
    let at = from;
    if (this.#afterCr && at < to) {
      this.#afterCr = false;
      if (bytes[at] === lf) at++;
    }
    // Where no line ends with CR, the end of a long one is found by the processor's own means, ten times as fast.
    const rest = to - at > longLine ? bytes.subarray(at, to) : undefined;
    const start = at;
    const long = rest && rest.indexOf(cr) < 0 ? rest : undefined;
    while (at < to) {
      const near = long ? Math.min(to, at + longLine) : to;
      let end = at;
      while (end < near && !endsLine(bytes[end] as number)) end++;
      if (end === near && long && end < to) {
        const found = long.indexOf(lf, end - start);
        end = found < 0 ? to : start + found;
      }
      this.#part(bytes, at, end);
      if (end === to) {
        this.#hold(bytes, at, end);
        return;
      }
      this.#endLine(bytes, at, end);
      at = end + 1;
      if (bytes[end] === cr) {
        if (at === to) this.#afterCr = true;
        else if (bytes[at] === lf) at++;
      }
    }
  }

  #part(bytes: Buffer, from: number, to: number): void {
    const before = this.#length;
    const length = to - from;
    for (let at = 0; at < length && before + at <= field.length && this.#isData; at++) {
      if (before + at === field.length) this.#hasSpace = bytes[from + at] === space;
      else this.#isData = bytes[from + at] === field[before + at];
    }
    this.#length += length;
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    if (!this.#marks || !this.#isData) return;
    const part = bytes.subarray(from, Math.min(to, from + markedBytes));
    if (this.#held === undefined) this.#held = Buffer.from(part);
    else if (this.#held.length < markedBytes) this.#held = Buffer.concat([this.#held, part]);
  }

  #endLine(bytes: Buffer, from: number, to: number): void {
    if (this.#length === 0) {
      if (this.#lines > 0) this.#found.event();
      this.#lines = 0;
      return;
    }
    // `data` without a colon is a line of data too, an empty one.
    if (this.#isData && this.#length >= field.length - 1) {
      const value = Math.max(0, this.#length - field.length - Number(this.#hasSpace));
      this.#found.data(value + Number(this.#lines > 0));
      if (this.#lines++ === 0 && this.#marks) this.#mark(this.#marks, bytes, from, to);
    }
    this.#length = 0;
    this.#isData = true;
    this.#hasSpace = false;
    this.#held = undefined;
  }

  #mark(marks: ReadMark, bytes: Buffer, from: number, to: number): void {
    const held = this.#held && Buffer.concat([this.#held, bytes.subarray(from, to)]);
    const mark = held
      ? marks.read(held, 0, Math.min(held.length, markedBytes))
      : marks.read(bytes, from, Math.min(to, from + markedBytes));
    if (mark) this.#onMark(mark);
  }
}

/** Nearly every byte is told by the first comparison. */
const endsLine = (byte: number) => byte <= cr && (byte === lf || byte === cr);
