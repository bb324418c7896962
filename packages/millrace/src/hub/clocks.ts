/**
 * Lets go of those who wait for the next tick of their clock. All who wait equally long share a timer, and it runs only
 * while someone waits.
 */
export class Clocks<T> {
  readonly #held = new Map<number, T[]>();
  readonly #release: (held: readonly T[]) => void;

  constructor(release: (held: readonly T[]) => void) {
    this.#release = release;
  }

  /** Until the next multiple of `everyMs` on the clock of `performance.now`. */
  hold(everyMs: number, waiting: T): void {
    const held = this.#held.get(everyMs);
    if (held) {
      held.push(waiting);
      return;
    }
    this.#held.set(everyMs, [waiting]);
    // A timer may fire a part of a millisecond early, and who is held then would wait for the same tick again.
    const leftMs = Math.ceil(everyMs - (performance.now() % everyMs)) + 1;
    setTimeout(() => this.#tick(everyMs), leftMs).unref();
  }

  #tick(everyMs: number): void {
    const held = this.#held.get(everyMs) ?? [];
    this.#held.delete(everyMs);
    this.#release(held);
  }
}
