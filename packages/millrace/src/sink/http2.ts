import type { ServerHttp2Stream } from "node:http2";
import type { Sink, SinkOwner } from "./sink.js";

/** A stream of an HTTP/2 connection whose head has been sent. */
export class Http2Sink implements Sink {
  readonly kind = "http/2";
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  open(owner: SinkOwner): void {
    const stream = this.#stream;
    stream.on("drain", () => owner.onDrain());
    stream.once("close", () => owner.onClose());
    stream.on("error", () => stream.close());
    stream.resume(); // a body that comes with the request is not wanted
    if (stream.destroyed) queueMicrotask(() => owner.onClose());
  }

  write(bytes: Uint8Array): boolean {
    return this.#stream.write(bytes) || this.#stream.writableLength === 0;
  }

  end(lastBytes?: Uint8Array): void {
    this.#stream.end(lastBytes);
  }

  destroy(): void {
    this.#stream.destroy();
  }
}
