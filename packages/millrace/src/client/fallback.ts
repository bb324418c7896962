import type { Outcome } from "./attempt.js";
import type { FetchLikeResponse } from "./web-types.js";

export const defaultFallback = { firstByteMs: 8000, cutMs: 10_000, streamAgainMs: 300_000 };

/** Streams that are cut so often in a row are not let through. */
const mostCuts = 3;
/** A long-poll is answered after 25 seconds at the latest. */
const pollMs = 60_000;

/**
 * Whether to stream or to poll. A proxy that buffers keeps the bytes of a stream for itself, one that is impatient cuts
 * it; both let a whole answer pass. Only a hub answers to polls: what is none is never polled.
 */
export class Fallback {
  readonly #options: typeof defaultFallback | undefined;
  #isHub: boolean | undefined;
  #cuts = 0;
  #streamAtMs = 0;

  /** @param options undefined: it is never polled */
  constructor(options: typeof defaultFallback | undefined) {
    this.#options = options;
  }

  get polls(): boolean {
    return performance.now() < this.#streamAtMs;
  }

  /** How long an answer may take, where `openMs` is allowed. */
  openMs(openMs: number): number {
    if (this.polls) return Math.max(openMs, pollMs);
    return Math.min(openMs, this.#firstByteMs);
  }

  /** How long the first byte may take. */
  firstByteMs(silenceMs: number): number {
    return Math.min(silenceMs, this.#firstByteMs);
  }

  get #firstByteMs(): number {
    return this.#options && this.#isHub !== false ? this.#options.firstByteMs : Infinity;
  }

  /** Whether the answer is a hub's. */
  opened({ headers }: FetchLikeResponse): boolean {
    this.#isHub = headers.get("millrace-position") !== null;
    if (!this.#isHub) this.#streamAtMs = 0;
    return this.#isHub;
  }

  /** A poll was refused. Answers whether that may be because the server is no hub: then it is not polled again. */
  refused(): boolean {
    const unknown = this.#isHub === undefined;
    if (unknown) this.#isHub = false;
    this.#streamAtMs = 0;
    return unknown;
  }

  /** @param tookMs from the request to the end; of that, `openForMs` since the first byte: undefined when none has come */
  ended({ error }: Outcome, tookMs: number, openForMs: number | undefined, inOrder: boolean): void {
    const options = this.#options;
    if (!options || this.polls || this.#isHub === false) return;
    const held = openForMs === undefined && error?.code === "timed_out" && tookMs >= options.firstByteMs;
    const cut = openForMs !== undefined && openForMs < options.cutMs && !inOrder;
    if (openForMs !== undefined) this.#cuts = cut ? this.#cuts + 1 : 0;
    if (!held && this.#cuts < mostCuts) return;
    this.#cuts = 0;
    this.#streamAtMs = performance.now() + options.streamAgainMs;
  }
}
