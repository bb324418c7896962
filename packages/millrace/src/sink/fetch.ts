import type { Sink, SinkOwner } from "./sink.js";

/** Bytes that may wait in the body before its reader counts as slow. */
const bufferBytes = 64 * 1024;

/** The body of a Fetch `Response`. */
export class FetchSink implements Sink {
  readonly kind = "fetch";
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #owner: SinkOwner | undefined;
  #full = false;

  constructor() {
    // Not a stream of type "bytes": that detaches what is enqueued, and with a Buffer of Node's pool all its neighbours.
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          if (!this.#full) return;
          this.#full = false;
          this.#owner?.onDrain();
        },
        cancel: () => this.#closed(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: bufferBytes }),
    );
  }

  get pendingBytes(): number {
    return this.#controller ? bufferBytes - (this.#controller.desiredSize ?? bufferBytes) : 0;
  }

  open(owner: SinkOwner): void {
    this.#owner = owner;
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#controller) return false;
    this.#controller.enqueue(bytes);
    this.#full = (this.#controller.desiredSize ?? 0) <= 0;
    return !this.#full;
  }

  end(lastBytes?: Uint8Array): void {
    if (!this.#controller) return;
    if (lastBytes) this.#controller.enqueue(lastBytes);
    this.#controller.close();
    this.#closed();
  }

  /** Nobody reads any more. Not an error: servers would write it into their logs for each client that leaves. */
  left(): void {
    this.#controller?.close();
    this.#closed();
  }

  destroy(): void {
    this.#controller?.error(new Error("the stream was closed by the server"));
    this.#closed();
  }

  #closed(): void {
    if (!this.#controller) return;
    this.#controller = undefined;
    this.#owner?.onClose();
  }
}
