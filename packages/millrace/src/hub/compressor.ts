import { constants, createDeflateRaw } from "node:zlib";
import { GzipSink, type SharedPart, type Sink } from "../sink/index.js";

/**
 * Of ticks this leaves as much as a window of 32 KiB does, and takes 96 KiB of memory in place of 256: 64 for the window
 * of 16 KiB, 32 to find what repeats. A document of 10 KB that comes again finds the one before it.
 */
const shape = { windowBits: 14, memLevel: 6, flush: constants.Z_SYNC_FLUSH } as const;
/** One count for all compressors: a sink that changes its group must not take the new one's parts for the old one's. */
let serials = 0;

/**
 * The compressed stream of one group. Each part refers to those before it: of ticks that leaves a fifth, where blocks of
 * their own leave all. It works on zlib's threads, one part after the other.
 */
export class Compressor {
  readonly #deflate = createDeflateRaw(shape);
  readonly #anewMs: number;
  /** Behind it the next parts are made. */
  #made: Promise<unknown> = Promise.resolve();
  #output: Buffer[] = [];
  #last: SharedPart | undefined;
  #begunMs = 0;
  /** When it was last asked for parts, as `performance.now` has it. */
  usedMs = performance.now();
  /** Answers whoever waits for a part. */
  #give: ((bytes: Buffer | undefined) => void) | undefined;
  #closed = false;

  /**
   * @param anewMs how often the stream may begin anew, for those who are not in step: what comes first after it is hardly
   * smaller. Default 1,000
   */
  constructor(anewMs = 1000) {
    this.#anewMs = anewMs;
    this.#deflate.on("data", (bytes: Buffer) => this.#output.push(bytes));
    this.#deflate.on("error", () => this.close()); // no memory was left: its group is written blocks of their own
  }

  /** The next parts of the stream, one for each buffer. Undefined: it was closed. */
  compress(buffers: readonly Uint8Array[]): Promise<readonly SharedPart[] | undefined> {
    const made = this.#made.then(() => this.#compress(buffers));
    this.#made = made;
    return made;
  }

  async #compress(buffers: readonly Uint8Array[]): Promise<readonly SharedPart[] | undefined> {
    if (this.#closed) return undefined;
    this.usedMs = performance.now();
    if (this.#last?.missed && this.usedMs - this.#begunMs >= this.#anewMs) this.#beginAnew();
    const parts: SharedPart[] = [];
    for (const buffer of buffers) {
      const follows = this.#last?.serial ?? 0;
      if (follows === 0) this.#begunMs = this.usedMs;
      const bytes = await this.#deflated(buffer);
      if (!bytes) return undefined;
      this.#last = { bytes, serial: ++serials, follows, missed: false };
      parts.push(this.#last);
    }
    return parts;
  }

  /** Whether the last part is the last thing that was written to the sink, and that not more than so long ago. */
  hasServed(sink: Sink, withinMs: number): boolean {
    if (!this.#last || performance.now() - this.usedMs > withinMs) return false;
    return sink instanceof GzipSink && sink.isAt(this.#last);
  }

  /** A part that is on its way does not come any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deflate.destroy(); // what a thread is at, zlib itself waits for
    this.#give?.(undefined);
  }

  #beginAnew(): void {
    this.#deflate.reset();
    this.#last = undefined;
  }

  #deflated(buffer: Uint8Array): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve(undefined);
      this.#give = resolve;
      this.#deflate.write(buffer, () => {
        if (this.#closed) return;
        const bytes = Buffer.concat(this.#output); // a copy: behind zlib's own are 16 KiB
        this.#output = [];
        resolve(bytes);
      });
    });
  }
}

/** A compressor that was not used for so long is given back. */
const idleMs = 60_000;

/** Compressors for as many groups as may have one, each made when it is first asked for. */
export class Compressors<G extends object> {
  readonly #of = new Map<G, Compressor>();
  readonly #most: number;

  /** @param most default 256: they take 24 MiB */
  constructor(most = 256) {
    this.#most = most;
  }

  get size(): number {
    return this.#of.size;
  }

  /** Undefined: there are none left. */
  of(group: G): Compressor | undefined {
    const known = this.#of.get(group);
    if (known || this.#of.size >= this.#most) return known;
    const made = new Compressor();
    this.#of.set(group, made);
    return made;
  }

  /** One that is there already. */
  get(group: G): Compressor | undefined {
    return this.#of.get(group);
  }

  /** The group is no more. */
  free(group: G): void {
    this.#of.get(group)?.close();
    this.#of.delete(group);
  }

  /** Takes back those that are idle. */
  sweep(): void {
    const beforeMs = performance.now() - idleMs;
    for (const [group, { usedMs }] of this.#of) if (usedMs < beforeMs) this.free(group);
  }
}
