import type { Subscriber } from "./subscriber.js";

/** What a stream may be sent at once after a pause, in seconds of its rate. */
const burstSeconds = 1;

/** Holds streams to a rate. One that is over it lags, as if its client were slow, and reads on when it may. */
export class Pacer {
  readonly #rate: number;
  readonly #waiting = new Set<Subscriber>();

  /** @param rate entries a second for one stream; Infinity: no bound */
  constructor(rate: number) {
    this.#rate = rate;
  }

  /** Counts what a stream was sent. False: it has to wait. */
  spend(subscriber: Subscriber, entries: number): boolean {
    if (this.#rate === Infinity) return true;
    subscriber.allowance = this.#allowance(subscriber) - entries;
    if (subscriber.allowance > 0) return true;
    this.#waiting.add(subscriber);
    return false;
  }

  isWaiting(subscriber: Subscriber): boolean {
    return this.#waiting.has(subscriber);
  }

  forget(subscriber: Subscriber): void {
    this.#waiting.delete(subscriber);
  }

  /** Those that may go on. */
  *release(): Generator<Subscriber> {
    for (const subscriber of this.#waiting) {
      subscriber.allowance = this.#allowance(subscriber);
      if (subscriber.allowance <= 0) continue;
      this.#waiting.delete(subscriber);
      yield subscriber;
    }
  }

  /** A bucket that fills with time. */
  #allowance(subscriber: Subscriber): number {
    const nowMs = performance.now();
    const gained = ((nowMs - subscriber.allowedAtMs) / 1000) * this.#rate;
    subscriber.allowedAtMs = nowMs;
    return Math.min(subscriber.allowance + gained, Math.max(1, this.#rate * burstSeconds));
  }
}
