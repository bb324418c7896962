import { constants, deflateRawSync } from "node:zlib";
import type { SharedPart, Sink, SinkOwner } from "./sink.js";

/** RFC 1952, section 2.3: deflate, no name, no time, no particular system. */
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

/** Below it, deflate saves less than its end marks cost: a tick of 115 bytes would keep 98 % of them. */
const storedBytes = 160;

/** By the bytes: what many are written alone, such as a heartbeat, is compressed once. */
const blocks = new WeakMap<Uint8Array, Buffer>();

/**
 * A sink whose bytes arrive compressed: one gzip member that never ends, of deflate blocks that are flushed with each
 * write. It has no trailer: what reads a stream does not wait for one, and several members are read by curl with an
 * error, by browsers no further than the first.
 *
 * Blocks written to it alone refer to nothing before them. A group's parts refer to each other, and can be read by who
 * was written all of them since one that begins anew, with nothing in between: the sink is then in step.
 */
export class GzipSink implements Sink {
  readonly #sink: Sink;
  #begun = false;
  /** The group's part that was written last; 0: what was written last was for this sink alone. */
  #serial = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  get kind(): string {
    return this.#sink.kind;
  }

  get pendingBytes(): number {
    return this.#sink.pendingBytes;
  }

  /** The peer is the owner's; what it takes and when it is gone is not different here. */
  open(owner: SinkOwner): void {
    this.#sink.open(owner);
  }

  write(bytes: Uint8Array, shared?: SharedPart): boolean {
    const inStep = shared !== undefined && (shared.follows === 0 || shared.follows === this.#serial);
    if (shared && !inStep) shared.missed = true;
    this.#serial = inStep ? shared.serial : 0;
    return this.#sink.write(this.#withHeader(inStep ? shared.bytes : blockOf(bytes)));
  }

  end(lastBytes?: Uint8Array): void {
    this.#sink.end(lastBytes && this.#withHeader(blockOf(lastBytes)));
  }

  destroy(): void {
    this.#sink.destroy();
  }

  /** Whether that part is the last thing that it was written. */
  isAt(part: SharedPart): boolean {
    return this.#serial === part.serial;
  }

  #withHeader(bytes: Uint8Array): Uint8Array {
    if (this.#begun) return bytes;
    this.#begun = true;
    return Buffer.concat([header, bytes]);
  }
}

/** The bytes as blocks of deflate (RFC 1951) that can be read at once, and behind any others. */
function blockOf(bytes: Uint8Array): Buffer {
  let block = blocks.get(bytes);
  if (!block) {
    block = bytes.length < storedBytes ? stored(bytes) : deflated(bytes);
    blocks.set(bytes, block);
  }
  return block;
}

/** RFC 1951, section 3.2.4: not the last block, stored; its length, and that once more with all bits turned. */
function stored(bytes: Uint8Array): Buffer {
  const block = Buffer.allocUnsafe(5 + bytes.length);
  block[0] = 0;
  block.writeUInt16LE(bytes.length, 1);
  block.writeUInt16LE(bytes.length ^ 0xffff, 3);
  block.set(bytes, 5);
  return block;
}

/** At the fastest level, as it runs on the event loop: 64 KiB of ticks take 0.1 ms, a third of what the default takes. */
const deflated = (bytes: Uint8Array): Buffer =>
  Buffer.from(deflateRawSync(bytes, { level: 1, finishFlush: constants.Z_SYNC_FLUSH })); // a copy: zlib's own has 16 KiB behind it
