/** Times are met to this, so that those who wait for about the same share a timer. */
const gridMs = 10;

/** When a stream with a rate of its own was let go last: see Pump. */
export class Cadence {
  /** It may be written what came up to this sequence, and whatever newer values of the same keys there are. */
  releasedThrough = 0;
  releasedAtMs = -Infinity;
  /** Up to here it may have entries of its own. */
  ownThrough = Infinity;
  /** While it is held: which tick it waits for. */
  tickMs = 0;
}

/** Those who wait for their time. A timer runs only while someone does. */
export class Clocks<T extends { readonly cadence: Cadence | undefined }> {
  readonly #held = new Map<number, Set<T>>();
  readonly #release: (held: T) => void;

  constructor(release: (held: T) => void) {
    this.#release = release;
  }

  /** Until `untilMs` on the clock of `performance.now`. */
  hold(waiting: T, cadence: Cadence, untilMs: number): void {
    const tickMs = Math.ceil(untilMs / gridMs) * gridMs;
    cadence.tickMs = tickMs;
    const held = this.#held.get(tickMs);
    if (held) held.add(waiting);
    else {
      this.#held.set(tickMs, new Set([waiting]));
      // A timer may fire a part of a millisecond early.
      setTimeout(() => this.#tick(tickMs), tickMs - performance.now() + 1).unref();
    }
  }

  forget(waiting: T): void {
    if (waiting.cadence) this.#held.get(waiting.cadence.tickMs)?.delete(waiting);
  }

  #tick(tickMs: number): void {
    const held = this.#held.get(tickMs) ?? [];
    this.#held.delete(tickMs);
    for (const each of held) this.#release(each);
  }
}
