import { constants, createDeflateRaw } from "node:zlib";
import { GzipSink, type SharedPart, type Sink } from "../sink/index.js";

/**
 * Of ticks this leaves as much as a window of 32 KiB does, and takes 96 KiB of memory in place of 256: 64 for the window
 * of 16 KiB, 32 to find what repeats. A document of 10 KB that comes again finds the one before it.
 */
const shape = { windowBits: 14, memLevel: 6 } as const;
/** How often a stream begins anew at most, for those who are not in step. What comes first after it cannot refer to anything. */
const anewMs = 1000;
/** A compressor that was not asked for so long is given back. */
const idleMs = 60_000;
/** At a time, in one hub: 24 MiB. */
const most = 256;

/** For all compressors: a sink that goes from one group to another must not take one group's part for the other's. */
let serials = 0;

interface CompressorParts {
  readonly onClose: (compressor: Compressor) => void;
}

/**
 * The compressed stream of one group. It runs on zlib's threads, and each part refers to those before it: of ticks it
 * leaves a fifth, where blocks of their own leave all.
 */
export class Compressor {
  readonly #parts: CompressorParts;
  readonly #deflate = createDeflateRaw({ ...shape, flush: constants.Z_SYNC_FLUSH });
  #output: Buffer[] = [];
  #serial = 0;
  #begunMs = 0;
  /** When it was last asked for a part. */
  #usedMs = performance.now();
  /** Whether someone could not read the last part. */
  #missed = false;
  /** Tells those who wait that nothing more comes. */
  #give: ((part: undefined) => void) | undefined;
  #closed = false;

  constructor(parts: CompressorParts) {
    this.#parts = parts;
    this.#deflate.on("data", (bytes: Buffer) => this.#output.push(bytes));
    this.#deflate.on("error", () => this.close()); // out of memory: the group is given blocks of its own
  }

  /** When it was last asked for a part, as `performance.now` has it. */
  get usedMs(): number {
    return this.#usedMs;
  }

  /**
   * The next parts of the stream, one for each buffer. Not to be called again before it has resolved. Undefined: the
   * compressor was closed, and there are none.
   */
  async compress(buffers: readonly Uint8Array[]): Promise<readonly SharedPart[] | undefined> {
    const nowMs = performance.now();
    this.#usedMs = nowMs;
    const anew = this.#serial === 0 || (this.#missed && nowMs - this.#begunMs >= anewMs);
    if (anew && !this.#closed) {
      this.#deflate.reset();
      this.#serial = 0;
      this.#begunMs = nowMs;
      this.#missed = false;
    }
    const parts: SharedPart[] = [];
    for (const buffer of buffers) {
      const bytes = await this.#next(buffer);
      if (!bytes) return undefined;
      const follows = this.#serial;
      this.#serial = ++serials;
      parts.push({ bytes, serial: this.#serial, follows });
    }
    return parts;
  }

  /** The last part was not for that sink: the stream has to begin anew for it. */
  missedBy(sink: Sink): void {
    if (!this.#missed && !this.#isInStep(sink)) this.#missed = true;
  }

  /** Whether the sink was given the last part, and nothing since, within so many milliseconds. */
  hasServed(sink: Sink, withinMs: number): boolean {
    return performance.now() - this.#usedMs < withinMs && this.#isInStep(sink);
  }

  /** Parts that are on their way do not come any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deflate.destroy(); // a write that is under way on another thread is waited for by zlib itself
    this.#give?.(undefined);
    this.#parts.onClose(this);
  }

  #isInStep(sink: Sink): boolean {
    return sink instanceof GzipSink && sink.isAt(this.#serial);
  }

  #next(buffer: Uint8Array): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve(undefined);
      this.#give = resolve;
      this.#deflate.write(buffer, () => {
        const output = this.#output;
        this.#output = [];
        this.#give = undefined;
        resolve(this.#closed ? undefined : Buffer.concat(output)); // a copy: zlib's own have 16 KiB behind them
      });
    });
  }
}
