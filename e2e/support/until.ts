import { setTimeout as sleep } from "node:timers/promises";

/** Resolves when `met` answers something true; looks every 10 ms, at most for `limitMs`. Rejects with what was waited for. */
export async function until(what: string | (() => string), met: () => unknown, limitMs = 15_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await met())) {
    if (performance.now() > endMs) {
      throw new Error(`not within ${limitMs} ms: ${typeof what === "string" ? what : what()}`);
    }
    await sleep(10);
  }
}

/** Lets time pass: for tests about time, such as a moment to kill at. */
export const pause = (ms: number): Promise<void> => sleep(ms);
