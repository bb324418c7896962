import { setTimeout as sleep } from "node:timers/promises";
import { checkFunction, checkNumber } from "../protocol/index.js";
import { deadline, defaultTimeoutMs } from "./deadline.js";

type Falsy = false | 0 | 0n | "" | null | undefined;

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
): Promise<Exclude<T, Falsy>> {
  checkFunction("until", condition, "() => events.length === 3");
  checkNumber("timeoutMs", timeoutMs, 0, Infinity);
  const [passed, stop] = deadline(timeoutMs, () => `it did not come true within ${timeoutMs} ms: ${condition}`);
  try {
    for (;;) {
      // A condition that asks a server may never answer.
      const met = await Promise.race([condition(), passed]);
      if (met) return met as Exclude<T, Falsy>;
      await Promise.race([sleep(5), passed]);
    }
  } finally {
    stop();
  }
}
