/** How long to wait between attempts, and how many there are. */
export interface BackoffOptions {
  /** Failed attempts in a row after which it gives up. Default `Infinity`: never. */
  readonly attempts?: number | undefined;
  /** The longest first wait, in milliseconds. Default 1,000. */
  readonly baseMs?: number | undefined;
  /** How much longer each next one may be. Default 1.5. */
  readonly factor?: number | undefined;
  /** The longest wait, in milliseconds, above what the server asks for. Default 30,000. */
  readonly maxMs?: number | undefined;
  /** How much of a wait is left to chance, from 0 to 1. Default 1: clients that were cut together come back apart. */
  readonly jitter?: number | undefined;
}

export const defaultBackoff = { attempts: Infinity, baseMs: 1000, factor: 1.5, maxMs: 30_000, jitter: 1 };

/** Exponential backoff with jitter, above what the server asks for. */
export class Backoff {
  readonly #options: typeof defaultBackoff;
  #failures = 0;

  constructor(options: typeof defaultBackoff) {
    this.#options = options;
  }

  /** Failed attempts since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** How many may fail. */
  get attempts(): number {
    return this.#options.attempts;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  failed(): void {
    this.#failures++;
  }

  get isSpent(): boolean {
    return this.#failures >= this.#options.attempts;
  }

  /** How long to wait now. @param floorMs what the server asks for */
  waitMs(floorMs: number): number {
    const { baseMs, factor, maxMs, jitter } = this.#options;
    const longest = Math.min(maxMs, baseMs * factor ** Math.max(0, this.#failures - 1));
    return floorMs + longest * (1 - jitter * Math.random());
  }
}
