import { maxTimerMs } from "../protocol/index.js";
import type { Exchange } from "./exchange.js";
import type { Limits } from "./limits.js";
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
  #bytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * The whole body of a request.
   * @throws Problem 408 when it does not come in time, 413 when it is too large, 503 when too many come at once
   */
  async read(exchange: Exchange): Promise<Uint8Array> {
    const { bodyBytes, bodyMs } = this.#limits;
    if (Number(exchange.header("content-length") ?? 0) > bodyBytes * patience) throw tooLarge(bodyBytes);
    const most = Math.max(heldBytes, heldBodies * bodyBytes);
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let held = 0;
    const take = (part: Uint8Array) => {
      bytes += part.length;
      if (bytes > bodyBytes * patience) throw tooLarge(bodyBytes);
      if (bytes > bodyBytes) return;
      held += part.length;
      this.#bytes += part.length;
      parts.push(part);
      if (this.#bytes > most) {
        throw new Problem(503, "too_busy", "too many requests send their bodies at present", retryLater(1));
      }
    };
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new Problem(408, "request_timeout", "the body was not finished in time")),
      Math.min(bodyMs, maxTimerMs),
    ).unref();
    try {
      await exchange.body(take, late.signal);
    } finally {
      clearTimeout(timer);
      this.#bytes -= held;
    }
    if (bytes > bodyBytes) throw tooLarge(bodyBytes);
    return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
  }
}

const tooLarge = (bodyBytes: number): Problem =>
  new Problem(413, "too_large", `a body may have ${bodyBytes} bytes: send it in parts, or raise the hub's limit`);
