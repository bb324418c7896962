import type { Socket } from "node:net";
import { Conversation, type ConversationOwner, type FrontRequest } from "./conversation.js";
import { readNarrow } from "./narrow.js";

export interface FrontParts {
  /** A connection that has asked nothing for so long is closed by `closeIdle`, in milliseconds. */
  readonly idleMs: number;
  /** With a conversation, others may follow the request; without one, the connection is the request's alone. */
  readonly onFront: (request: FrontRequest, conversation?: Conversation) => void;
  /** Is given a connection on which something else was said. */
  readonly toHttp1: (socket: Socket, said: Buffer) => void;
  /** Answers a request that ended in its middle. */
  readonly cutShort: (socket: Socket) => void;
}

/**
 * Reads plain requests without node:http, connection by connection. The first request that is not plain goes there, and
 * all that follows it.
 */
export class Front implements ConversationOwner {
  readonly #parts: FrontParts;
  readonly #conversations = new Set<Conversation>();
  readonly keeping: string;
  stopped = false;

  constructor(parts: FrontParts) {
    this.#parts = parts;
    this.keeping = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(parts.idleMs / 1000)}\r\n`;
  }

  /** Takes a connection that begins with a plain request. False: it does not. */
  take(socket: Socket, said: Buffer): boolean {
    const narrow = readNarrow(said);
    if (!narrow) return false;
    const { method, url, headers } = narrow;
    if (method === "GET") this.#parts.onFront({ method, url, httpVersion: "1.1", headers, socket });
    else {
      const conversation = new Conversation(socket, this);
      this.#conversations.add(conversation);
      conversation.hear(said);
    }
    return true;
  }

  closeIdle(): void {
    const beforeMs = performance.now() - this.#parts.idleMs;
    for (const { idleSinceMs, socket } of this.#conversations) if (idleSinceMs <= beforeMs) socket.destroy();
  }

  /** Ends connections that ask nothing at present; each of the others with its next answer. */
  stop(): void {
    this.stopped = true;
    for (const { idleSinceMs, socket } of this.#conversations) if (idleSinceMs < Infinity) socket.destroy();
  }

  asked(request: FrontRequest, conversation: Conversation): void {
    this.#parts.onFront(request, conversation);
  }

  left(conversation: Conversation, said: Buffer): void {
    this.#conversations.delete(conversation);
    const { socket } = conversation;
    if (!this.take(socket, said)) this.#parts.toHttp1(socket, said);
  }

  closed(conversation: Conversation): void {
    this.#conversations.delete(conversation);
  }

  cutShort(socket: Socket): void {
    this.#parts.cutShort(socket);
  }
}
