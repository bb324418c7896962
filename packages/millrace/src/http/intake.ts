import { maxTimerMs } from "../protocol/index.js";
import type { Exchange, Reading } from "./exchange.js";
import type { Limits } from "./limits.js";
import { Parts } from "./parts.js";
import { Problem, retryLater } from "./problem.js";

/** Somewhat too large: read on without keeping it, because an answer to a peer that still sends is seldom read. */
const patience = 8;
/** What bodies under way may hold in all: so many bytes, or so many of the largest bodies. */
const heldBytes = 64 * 1024 * 1024;
const heldBodies = 64;

/**
 * Reads bodies, each in its time and all within a bound: HTTP/2 lets one connection begin a thousand, and a peer that
 * finished none of them held their bytes for ever.
 */
export class Intake {
  readonly #limits: Limits;
  /** What is on its way, oldest first. */
  readonly #bodies = new Set<Body>();
  /** One for all, set for the oldest. */
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * The whole body of a request: at once, where it is at hand.
   * @throws Problem 408 when it does not come in time, 413 when it is too large, 503 when too many come at once
   */
  read(exchange: Exchange): Uint8Array | Promise<Uint8Array> {
    const { bodyBytes } = this.#limits;
    const { whole } = exchange;
    if (!whole) return this.#collect(exchange);
    if (whole.length > bodyBytes) throw tooLarge(bodyBytes);
    return whole;
  }

  async #collect(exchange: Exchange): Promise<Uint8Array> {
    const { bodyBytes } = this.#limits;
    if (Number(exchange.header("content-length") ?? 0) > bodyBytes * patience) throw tooLarge(bodyBytes);
    const body = new Body(bodyBytes, (bytes) => this.#hold(bytes));
    this.#bodies.add(body);
    if (!this.#timer) this.#wait(body);
    try {
      await exchange.body(body);
    } finally {
      this.#bodies.delete(body);
      this.#bytes -= body.held;
    }
    if (body.bytes > bodyBytes) throw tooLarge(bodyBytes);
    return body.parts.join();
  }

  #hold(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= Math.max(heldBytes, heldBodies * this.#limits.bodyBytes)) return;
    throw new Problem(503, "too_busy", "too many requests send their bodies at present", retryLater(1));
  }

  #wait({ sinceMs }: Body): void {
    const leftMs = sinceMs + this.#limits.bodyMs - performance.now();
    this.#timer = setTimeout(() => this.#cutLate(), Math.min(Math.max(1, leftMs), maxTimerMs)).unref();
  }

  #cutLate(): void {
    this.#timer = undefined;
    const beforeMs = performance.now() - this.#limits.bodyMs;
    for (const body of this.#bodies) {
      if (body.sinceMs > beforeMs) {
        this.#wait(body);
        return;
      }
      this.#bodies.delete(body);
      body.cut(new Problem(408, "request_timeout", "the body was not finished in time"));
    }
  }
}

/** One body on its way. */
class Body implements Reading {
  readonly sinceMs = performance.now();
  readonly parts = new Parts();
  readonly #mostBytes: number;
  readonly #hold: (bytes: number) => void;
  bytes = 0;
  held = 0;
  cut: (reason: unknown) => void = () => {};

  constructor(mostBytes: number, hold: (bytes: number) => void) {
    this.#mostBytes = mostBytes;
    this.#hold = hold;
  }

  take(part: Uint8Array): void {
    this.bytes += part.length;
    if (this.bytes > this.#mostBytes * patience) throw tooLarge(this.#mostBytes);
    if (this.bytes > this.#mostBytes) return;
    this.held += part.length;
    this.parts.take(part);
    this.#hold(part.length);
  }
}

const tooLarge = (bodyBytes: number): Problem =>
  new Problem(413, "too_large", `a body may have ${bodyBytes} bytes: send it in parts, or raise the hub's limit`);
