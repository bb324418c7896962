import type { Socket } from "node:net";
import type { Sink, SinkOwner } from "./sink.js";

/** Where a socket has the owner of its sink: so its listeners are the same functions for all sockets. */
const ownerOf = Symbol("owner");
type OwnedSocket = Socket & { [ownerOf]?: SinkOwner | undefined };

/**
 * An HTTP/1.1 connection, written to directly. The stream is delimited by its close, not chunked: so the bytes are the
 * same for every connection, and one Buffer serves all.
 */
export class SocketSink implements Sink {
  readonly #socket: OwnedSocket;
  #head: Buffer | undefined;

  /** @param head the response's head: it leaves together with the first bytes */
  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    this.#head = head;
  }

  get kind(): string {
    return "http/1.1";
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  open(owner: SinkOwner): void {
    const socket = this.#socket;
    socket[ownerOf] = owner;
    socket.on("drain", drained).on("close", closed);
    // A client that half-closes has left: no browser does it, and its socket would stay for as long as it likes.
    socket.on("end", destroy).on("error", destroy).resume();
    if (socket.closed) queueMicrotask(() => closed.call(socket));
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

function drained(this: OwnedSocket): void {
  this[ownerOf]?.onDrain();
}

function closed(this: OwnedSocket): void {
  this[ownerOf]?.onClose();
  this[ownerOf] = undefined;
}

function destroy(this: Socket): void {
  this.destroy();
}
