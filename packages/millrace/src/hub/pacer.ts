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

  /** How many entries a stream may be sent at once: one at least. */
  allowance(subscriber: Subscriber): number {
    return this.#rate === Infinity ? Infinity : Math.max(1, Math.floor(this.#refill(subscriber)));
  }

  /** Counts what a stream was sent. False: it has to wait. */
  spend(subscriber: Subscriber, entries: number): boolean {
    if (this.#rate === Infinity) return true;
    subscriber.allowance = this.#refill(subscriber) - entries;
    if (subscriber.allowance >= 1) return true;
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
      if (this.#refill(subscriber) < 1) continue;
      this.#waiting.delete(subscriber);
      yield subscriber;
    }
  }

  /** A bucket that fills with time. */
  #refill(subscriber: Subscriber): number {
    const nowMs = performance.now();
    const gained = ((nowMs - subscriber.allowedAtMs) / 1000) * this.#rate;
    subscriber.allowedAtMs = nowMs;
    subscriber.allowance = Math.min(subscriber.allowance + gained, Math.max(1, this.#rate * burstSeconds));
    return subscriber.allowance;
  }
}
