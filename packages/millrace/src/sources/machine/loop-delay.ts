import { monitorEventLoopDelay } from "node:perf_hooks";
import { rounded } from "../rounded.js";

/** How much later than due the event loop came round, in milliseconds, two decimals. */
export interface LoopDelay {
  readonly mean: number;
  readonly p99: number;
  readonly max: number;
}

/** Every 20 ms is 50 wake-ups a second: too few to be seen in the process's CPU time, enough to meet a stall. */
const RESOLUTION_MS = 20;

/**
 * Measures the event loop's delay. `take()` answers for the time since the last `take()`; `close()` ends the timer
 * behind it, which by itself does not keep the process alive.
 */
export function createLoopDelay(): { take(): LoopDelay; close(): void } {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();

  // The histogram holds whole intervals between two firings of its timer, so an idle loop shows the resolution.
  const delayMs = (nanoseconds: number): number => {
    const late = nanoseconds / 1e6 - RESOLUTION_MS;
    return late > 0 ? rounded(late, 2) : 0;
  };

  return {
    take() {
      // With nothing recorded the mean is NaN and p99 a remainder of the bucket width: neither is a delay.
      const empty = histogram.max === 0;
      const delay = {
        mean: empty ? 0 : delayMs(histogram.mean),
        p99: empty ? 0 : delayMs(histogram.percentile(99)),
        max: empty ? 0 : delayMs(histogram.max),
      };
      histogram.reset();
      return delay;
    },
    close() {
      histogram.disable();
    },
  };
}
