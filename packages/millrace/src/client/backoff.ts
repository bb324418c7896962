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

/**
 * How long to wait now: exponential backoff with jitter.
 * @param failures how many attempts have failed in a row
 */
export function backoffMs(options: BackoffOptions, failures: number): number {
  const { baseMs = 1000, factor = 1.5, maxMs = 30_000, jitter = 1 } = options;
  const longestMs = Math.min(maxMs, baseMs * factor ** Math.max(0, failures - 1));
  return longestMs * (1 - jitter * Math.random()) || 0; // 0 times infinity is NaN
}
