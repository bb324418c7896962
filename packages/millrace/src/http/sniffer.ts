import type { Socket } from "node:net";
import type { Front } from "./front.js";

export interface SnifferParts {
  /** A peer that has not said what it speaks is closed after this and at most half as much, in milliseconds. */
  readonly headMs: number;
  readonly toHttp1: (socket: Socket, said: Buffer) => void;
  readonly toHttp2: (socket: Socket, said: Buffer) => void;
  /** Without it, all that is not HTTP/2 is `toHttp1`. */
  readonly front: Front | undefined;
}

interface Waiting {
  readonly sinceMs: number;
  said: Buffer | undefined;
}

const preface = Buffer.from("PRI * HTTP/2.0");

/**
 * Tells connections apart by their first bytes, and hands each on with all of its bytes. The front's time is kept here, too.
 *
 * It has one timer, and one set of listeners for all: what lasts from a connection to its first bytes is old enough for
 * V8 to move it to where it is collected last, and ten thousand connections left 15 MB there.
 */
export class Sniffer {
  readonly #parts: SnifferParts;
  readonly #waiting = new Map<Socket, Waiting>();
  readonly #timer: NodeJS.Timeout;
  readonly #hear: (this: Socket, more: Buffer) => void;
  readonly #leave: (this: Socket) => void;

  constructor(parts: SnifferParts) {
    this.#parts = parts;
    const sniffer = this;
    this.#hear = function (more) {
      sniffer.#look(this, more);
    };
    this.#leave = function () {
      sniffer.#waiting.delete(this);
      this.destroy();
    };
    this.#timer = setInterval(() => this.#cut(), parts.headMs / 2).unref();
  }

  add(socket: Socket): void {
    this.#waiting.set(socket, { sinceMs: performance.now(), said: undefined });
    socket.on("data", this.#hear).on("close", this.#leave).on("error", this.#leave).on("end", this.#leave);
  }

  /** Ends those that have said nothing yet. */
  close(): void {
    clearInterval(this.#timer);
    this.#parts.front?.stop();
    for (const socket of this.#waiting.keys()) socket.destroy();
  }

  #cut(): void {
    this.#parts.front?.closeIdle();
    const beforeMs = performance.now() - this.#parts.headMs;
    for (const [socket, { sinceMs }] of this.#waiting) {
      if (sinceMs > beforeMs) return; // those behind it came later
      socket.destroy();
    }
  }

  #look(socket: Socket, more: Buffer): void {
    const waiting = this.#waiting.get(socket) as Waiting;
    const said = waiting.said ? Buffer.concat([waiting.said, more]) : more;
    const bytes = Math.min(said.length, preface.length);
    const isHttp2 = said.compare(preface, 0, bytes, 0, bytes) === 0;
    if (isHttp2 && bytes < preface.length) {
      waiting.said = said;
      return;
    }
    this.#waiting.delete(socket);
    socket.off("data", this.#hear).off("close", this.#leave).off("error", this.#leave).off("end", this.#leave);
    const { toHttp1, toHttp2, front } = this.#parts;
    if (front?.take(socket, said)) return;
    if (isHttp2) toHttp2(socket, said);
    else toHttp1(socket, said);
  }
}
