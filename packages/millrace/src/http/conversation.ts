import type { OutgoingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { PeerGone, type Reading } from "./exchange.js";
import { type Narrow, type NarrowHead, readNarrow } from "./narrow.js";
import { closing, headText } from "./write-head.js";

/**
 * A plain `GET /events` or `POST /publish` that `listen` has read itself, on the bare connection. It has what applications
 * look at in an `IncomingMessage`.
 */
export interface FrontRequest extends NarrowHead {
  readonly httpVersion: "1.1";
  readonly socket: Socket;
}

/** Whoever has the conversations. */
export interface ConversationOwner {
  /** Headers of an answer that others may follow. */
  readonly keeping: string;
  /** Whether no answer is to be followed by another. */
  readonly stopped: boolean;
  asked(request: FrontRequest, conversation: Conversation): void;
  /** What was said is no plain publish: the connection and its bytes are the owner's again. */
  left(conversation: Conversation, said: Buffer): void;
  closed(conversation: Conversation): void;
  /** The peer has ended in the middle of a request. */
  cutShort(socket: Socket): void;
}

/** A connection that waits keeps no larger head. */
const mostRememberedBytes = 1024;

/** Where a socket has its conversation: so its listeners are the same functions for all sockets. */
const conversationOf = Symbol("conversation");
type TalkingSocket = Socket & { [conversationOf]?: Conversation | undefined };

/**
 * A connection on which publishes follow each other, each answered before the next is read:
 *
 *   idle ── a head ──→ asked ──(the body, unless it came with the head)── answered ──→ idle
 *     └── anything else ──→ left                     └── the last one ──→ over
 */
export class Conversation {
  readonly socket: Socket;
  readonly #owner: ConversationOwner;
  /** Since when nothing is asked; Infinity while something is. */
  idleSinceMs = 0;
  /** The body that was asked with, when it came together with the head. */
  whole: Buffer | undefined;
  /** How much of it has not come, or nobody has taken, in bytes. */
  #unread = 0;
  /** What has come and cannot be looked at yet. No more is read meanwhile. */
  #held: Buffer | undefined;
  #reading:
    | { readonly of: Reading; readonly resolve: () => void; readonly reject: (error: unknown) => void }
    | undefined;
  #head: { readonly narrow: Narrow; readonly bytes: Buffer } | undefined;
  #last = false;
  #over = false;

  constructor(socket: Socket, owner: ConversationOwner) {
    this.socket = socket;
    this.#owner = owner;
    (socket as TalkingSocket)[conversationOf] = this;
    socket.on("data", heard).on("drain", drained).on("end", ended).on("error", destroy).on("close", closed);
  }

  /** @param bytes what has come */
  hear(bytes: Buffer): void {
    if (this.#over) return;
    if (this.#reading) this.#feed(bytes);
    else if (this.idleSinceMs < Infinity && !this.socket.writableNeedDrain) this.#ask(bytes);
    else this.#hold(bytes);
  }

  /** The rest of a body, as `Exchange.body` says it. */
  body(reading: Reading): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.socket.readable) throw new PeerGone();
      this.#reading = { of: reading, resolve, reject };
      reading.cut = (reason) => this.#stopReading(reason);
      this.#release();
    });
  }

  answer(status: number, headers: OutgoingHttpHeaders, body: string | Uint8Array): void {
    const { socket } = this;
    // What is left of an unread body would be taken for the next request, or would have to be read for nothing.
    const last = this.#last || this.#unread > 0 || this.#owner.stopped;
    const length = Buffer.byteLength(body);
    const framing = `${last ? closing : this.#owner.keeping}Content-Length: ${length}\r\n`;
    const head = headText(status, headers, framing);
    const bytes =
      typeof body === "string" && body.length === length
        ? head + body // as ASCII is in every encoding
        : Buffer.concat([Buffer.from(head, "latin1"), Buffer.from(body)]);
    this.whole = undefined;
    if (last) {
      this.#over = true;
      socket.resume();
      socket.end(bytes, "latin1");
      socket.destroySoon(); // a client that does not close its half would keep the rest
      return;
    }
    socket.write(bytes, "latin1");
    this.idleSinceMs = performance.now();
    if (this.#held) this.#release();
  }

  drained(): void {
    if (this.idleSinceMs < Infinity) this.#release();
  }

  /** The peer says no more. What it has asked is answered still. */
  ended(): void {
    this.#last = true;
    if (this.idleSinceMs < Infinity) this.socket.destroySoon();
    else if (this.#unread > 0 && !this.#over) {
      this.#over = true;
      this.#owner.cutShort(this.socket);
      this.#stopReading(new PeerGone());
    }
  }

  closed(): void {
    this.#owner.closed(this);
    this.#stopReading(new PeerGone());
  }

  /** Gives the connection back. */
  leave(said: Buffer): void {
    const { socket } = this;
    socket.off("data", heard).off("drain", drained).off("end", ended).off("error", destroy).off("close", closed);
    (socket as TalkingSocket)[conversationOf] = undefined;
    this.#owner.left(this, said);
  }

  #ask(bytes: Buffer): void {
    const narrow = this.#repeated(bytes) ?? readNarrow(bytes);
    if (narrow?.method !== "POST") {
      this.leave(bytes);
      return;
    }
    const { method, url, headers, headBytes, bodyBytes } = narrow;
    if (headBytes <= mostRememberedBytes && this.#head?.narrow !== narrow) {
      this.#head = { narrow, bytes: Buffer.from(bytes.subarray(0, headBytes)) };
    }
    const body = bytes.subarray(headBytes);
    this.idleSinceMs = Infinity;
    this.#last = headers.connection?.toLowerCase() === "close";
    if (body.length === bodyBytes) this.whole = body;
    else {
      this.#unread = bodyBytes;
      if (body.length > 0) this.#held = body;
    }
    this.#owner.asked({ method, url, httpVersion: "1.1", headers, socket: this.socket }, this);
  }

  /** What a head says that is, byte for byte, the one before: most publishers send no other. */
  #repeated(bytes: Buffer): Narrow | undefined {
    if (!this.#head) return undefined;
    const { narrow, bytes: before } = this.#head;
    const { headBytes, bodyBytes } = narrow;
    if (bytes.length < headBytes || bytes.length > headBytes + bodyBytes) return undefined;
    return before.compare(bytes, 0, headBytes) === 0 ? narrow : undefined;
  }

  #hold(bytes: Buffer): void {
    this.#held = this.#held ? Buffer.concat([this.#held, bytes]) : bytes;
    this.socket.pause();
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (this.socket.isPaused()) this.socket.resume();
    if (held) this.hear(held);
  }

  #feed(bytes: Buffer): void {
    const part = bytes.subarray(0, this.#unread);
    try {
      this.#reading?.of.take(part);
    } catch (error) {
      this.#stopReading(error);
      return;
    }
    this.#unread -= part.length;
    if (this.#unread > 0) return;
    this.#reading?.resolve();
    this.#reading = undefined;
    if (part.length < bytes.length) this.#hold(bytes.subarray(part.length));
  }

  #stopReading(reason: unknown): void {
    this.#reading?.reject(reason);
    this.#reading = undefined;
  }
}

function heard(this: TalkingSocket, bytes: Buffer): void {
  this[conversationOf]?.hear(bytes);
}

function drained(this: TalkingSocket): void {
  this[conversationOf]?.drained();
}

function ended(this: TalkingSocket): void {
  this[conversationOf]?.ended();
}

function closed(this: TalkingSocket): void {
  this[conversationOf]?.closed();
}

function destroy(this: TalkingSocket): void {
  this.destroy();
}
