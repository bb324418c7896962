import { maxTimerMs } from "../protocol/index.js";

/** Bites when it has not been fed for too long. */
export class Watchdog {
  readonly #bite: (error: Error) => void;
  #ms = Infinity;
  #fedAtMs = 0;
  #error: () => Error = () => new Error();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(bite: (error: Error) => void) {
    this.#bite = bite;
  }

  /** Waits so long from now on, and from each feeding. */
  watch(ms: number, error: () => Error): void {
    this.stop();
    this.#ms = ms;
    this.#error = error;
    this.#fedAtMs = performance.now();
    this.#wait(ms);
  }

  fed(): void {
    this.#fedAtMs = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Looks now: the timers of a hidden page are slow, and a machine that sleeps has none. */
  look(): void {
    if (this.#timer === undefined) return;
    this.stop();
    const leftMs = this.#ms - (performance.now() - this.#fedAtMs);
    if (leftMs <= 0) this.#bite(this.#error());
    else this.#wait(leftMs);
  }

  /** One timer, set anew when it has run out: one for each chunk of a busy stream would cost more than the chunk. */
  #wait(ms: number): void {
    if (ms <= maxTimerMs) this.#timer = setTimeout(() => this.look(), ms);
  }
}
