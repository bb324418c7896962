import { setTimeout as sleep } from "node:timers/promises";

/** Resolves when `met` answers something true; polls, at most for `limitMs`. */
export async function until(what: string, met: () => unknown, limitMs = 15_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await met())) {
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(20);
  }
}
