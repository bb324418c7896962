const lookMs = 10;

/** Resolves once the condition holds. Rejects with what is described, after the time. */
export async function until(
  describe: () => string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${describe()}`);
    await pause(lookMs);
  }
}

/** Lets time pass: for tests about time, such as a moment to kill at. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
