import type { Socket } from "node:net";
import type { Sink, SinkOwner } from "./sink.js";

/**
 * An HTTP/1.1 connection, written to directly. The stream is delimited by its close, not chunked: so the bytes are the
 * same for every connection, and one Buffer serves all.
 */
export class SocketSink implements Sink {
  readonly kind = "http/1.1";
  readonly #socket: Socket;
  #head: Buffer | undefined;

  /** @param head the response's head: it leaves together with the first bytes */
  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    this.#head = head;
  }

  open(owner: SinkOwner): void {
    const socket = this.#socket;
    socket.on("drain", () => owner.onDrain());
    socket.once("close", () => owner.onClose());
    // A client that half-closes has left: no browser does it, and its socket would stay for as long as it likes.
    socket.once("end", () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.resume();
    if (socket.destroyed) queueMicrotask(() => owner.onClose());
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    // Large writes answer false even when the kernel took them whole: only bytes that wait here mean a slow peer.
    return socket.write(this.#withHead(bytes)) || socket.writableLength === 0;
  }

  end(lastBytes: Uint8Array = new Uint8Array(0)): void {
    this.#socket.end(this.#withHead(lastBytes));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #withHead(bytes: Uint8Array): Uint8Array {
    if (!this.#head) return bytes;
    const first = Buffer.concat([this.#head, bytes]);
    this.#head = undefined;
    return first;
  }
}
