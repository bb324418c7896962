import { clearTimeout, setTimeout } from "node:timers";
import { MillraceError, maxTimerMs } from "../protocol/index.js";

/** Below the 5 s after which Vitest and Jest end a test: what they say does not tell what was waited for. */
export const defaultTimeoutMs = 4000;

/** A promise that fails with `timed_out` after so many milliseconds, and what stops its clock. */
export function deadline(timeoutMs: number, why: () => string): [passed: Promise<never>, stop: () => void] {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new MillraceError("timed_out", why())), Math.min(timeoutMs, maxTimerMs));
  });
  return [passed, () => clearTimeout(timer)];
}
