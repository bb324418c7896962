import fs from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import { MillraceError } from "../../protocol/index.js";
import { type Entry, readRecord } from "../entry.js";
import type { Ref } from "../merge.js";
import { segmentName, storeFormat, syncFolder } from "./files.js";

/** The first bytes of a segment: a mark, the format's number, and their checksum. Later formats begin so too. */
export const segmentHeadBytes = 16;
const mark = "MILLRACE";
const sumAt = 12;

/** Entries with so little between them are read at once. */
const readAcrossBytes = 4096;

/** One file of the store: the frames of a range of sequences. The last segment of a store is written to. */
export class Segment {
  readonly path: string;
  readonly #fd: number;
  #users = 0;
  #retired = false;
  base: number;
  /** Last sequence of its range; Infinity for the one that is written to. */
  end: number;
  /** Bytes that are written, and acknowledged or about to be. */
  size: number;
  /** Bytes of entries that are retained. */
  liveBytes = 0;
  /** Bytes of entries that are dropped. */
  deadBytes = 0;
  keyBytes = 0;
  /** Time of the newest idempotency key in it. */
  keyTimeMs = 0;

  private constructor(file: string, fd: number, base: number, end: number) {
    this.path = file;
    this.#fd = fd;
    this.base = base;
    this.end = end;
    this.size = segmentHeadBytes;
  }

  /** A new file, to be written to; with `flushed` its name is on the disk, as its entries will be. */
  static create(folder: string, base: number, flushed: boolean): Segment {
    const file = path.join(folder, segmentName(base));
    // A file of this name holds nothing that was acknowledged: a full disk cut its creation short.
    const segment = new Segment(file, fs.openSync(file, "w+"), base, Infinity);
    try {
      segment.begin();
      if (flushed) syncFolder(folder);
      return segment;
    } catch (error) {
      segment.remove();
      throw error;
    }
  }

  /** A file that is there. One that will be renamed is opened first under its present name: so nothing can fail after. */
  static open(file: string, base: number, end: number, presentFile = file): Segment {
    return new Segment(file, fs.openSync(presentFile, "r+"), base, end);
  }

  /** Bytes that rewriting gives back, at least. Idempotency keys from before are needed no longer. */
  garbage(keysSinceMs: number): number {
    return this.deadBytes + (this.keyTimeMs < keysSinceMs ? this.keyBytes : 0);
  }

  /** Whether nothing in it is needed any more. */
  isDone(keysSinceMs: number): boolean {
    return this.liveBytes === 0 && this.keyTimeMs < keysSinceMs;
  }

  /** Writes the file's first bytes. */
  begin(): void {
    fs.writeSync(this.#fd, segmentHead(), 0, segmentHeadBytes, 0);
  }

  /** Writes behind the end; answers where. On failure the end stays where it was. */
  write(buffers: Buffer[]): number {
    const at = this.size;
    let left = 0;
    for (const buffer of buffers) left += buffer.length;
    let written = fs.writevSync(this.#fd, buffers, at);
    if (written < left) {
      // A disk that fills up in the middle takes a part first, and says why at the next write.
      const whole = Buffer.concat(buffers);
      while (written < left) written += fs.writeSync(this.#fd, whole, written, left - written, at + written);
    }
    this.size = at + left;
    return at;
  }

  /** Takes back what lies behind `size`. */
  cut(size: number): void {
    fs.ftruncateSync(this.#fd, size);
    this.size = size;
  }

  /** Entries by ascending sequence. Neighbours are read together. */
  read(refs: readonly Ref[]): Promise<Entry[]> {
    return this.#hold(async () => {
      const entries: Entry[] = [];
      for (let from = 0; from < refs.length; ) {
        const start = (refs[from] as Ref).place;
        let end = start + (refs[from] as Ref).bytes;
        let to = from + 1;
        for (; to < refs.length; to++) {
          const { place, bytes } = refs[to] as Ref;
          if (place > end + readAcrossBytes) break;
          end = place + bytes;
        }
        const buffer = await this.#fill(Buffer.allocUnsafeSlow(end - start), start);
        for (; from < to; from++) {
          const { place, sequence } = refs[from] as Ref;
          const entry = readRecord(buffer, place - start);
          if (entry.sequence !== sequence) {
            throw new MillraceError(
              "store_failed",
              `the store's file ${this.path} changed under the hub at byte ${place}`,
            );
          }
          entries.push(entry);
        }
      }
      return entries;
    });
  }

  /** What is written from a byte on, as much of it as the buffer takes. */
  readInto(buffer: Buffer, start: number): Promise<Buffer> {
    const length = Math.min(buffer.length, this.size - start);
    return this.#hold(() => this.#fill(buffer.subarray(0, length), start));
  }

  flush(): Promise<void> {
    return this.#hold(
      () => new Promise((resolve, reject) => fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve()))),
    );
  }

  flushSync(): void {
    fs.fdatasyncSync(this.#fd);
  }

  /** Closes the file once no read is under way. */
  close(): void {
    this.#retired = true;
    if (this.#users === 0) fs.closeSync(this.#fd);
  }

  /** Removes the file; a read that is under way still finishes. */
  remove(): void {
    fs.rmSync(this.path, { force: true });
    this.close();
  }

  async #fill(buffer: Buffer, start: number): Promise<Buffer> {
    for (let at = 0; at < buffer.length; ) {
      const read = await new Promise<number>((resolve, reject) => {
        fs.read(this.#fd, buffer, at, buffer.length - at, start + at, (error, count) =>
          error ? reject(error) : resolve(count),
        );
      });
      if (read === 0) throw new MillraceError("store_failed", `the store's file ${this.path} is shorter than it was`);
      at += read;
    }
    return buffer;
  }

  /** Keeps the file open for as long as the work takes. */
  async #hold<T>(work: () => Promise<T>): Promise<T> {
    this.#users++;
    try {
      return await work();
    } finally {
      this.#users--;
      if (this.#retired && this.#users === 0) fs.closeSync(this.#fd);
    }
  }
}

export function segmentHead(): Buffer {
  const head = Buffer.alloc(segmentHeadBytes);
  head.write(mark);
  head.writeUInt32LE(storeFormat, mark.length);
  head.writeUInt32LE(crc32(head.subarray(0, sumAt)), sumAt);
  return head;
}

/** The format that a segment was written in; undefined when the bytes are no segment's. */
export function segmentFormat(bytes: Buffer): number | undefined {
  if (bytes.length < segmentHeadBytes || bytes.toString("latin1", 0, mark.length) !== mark) return undefined;
  if (crc32(bytes.subarray(0, sumAt)) !== bytes.readUInt32LE(sumAt)) return undefined;
  return bytes.readUInt32LE(mark.length);
}
