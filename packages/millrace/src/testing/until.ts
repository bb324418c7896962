import { setTimeout as sleep } from "node:timers/promises";
import { checkFunction, checkNumber, MillraceError } from "../protocol/index.js";

/** Below the 5 s after which Vitest and Jest end a test: what they say does not tell what was waited for. */
export const defaultTimeoutMs = 4000;

/**
 * Waits until a condition holds, and answers with what it gave.
 *
 *     await until(() => stream.state === "open");
 *
 * @param options.timeoutMs how long at most, in milliseconds. Default 4,000
 * @throws MillraceError `timed_out`, with the condition; and what the condition throws, at once
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = defaultTimeoutMs }: { timeoutMs?: number | undefined } = {},
): Promise<T> {
  checkFunction("until", condition, "() => events.length === 3");
  checkNumber("timeoutMs", timeoutMs, 0, Infinity);
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const met = await condition();
    if (met) return met;
    if (performance.now() >= endMs) {
      throw new MillraceError("timed_out", `it did not come true within ${timeoutMs} ms: ${condition}`);
    }
    await sleep(5);
  }
}
