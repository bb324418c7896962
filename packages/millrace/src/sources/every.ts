import { checkMs } from "./check.js";
import { iterable, pause, unlessAborted } from "./iteration.js";

/**
 * Calls `produce` at once and then each `ms` milliseconds, and yields what it answers; for undefined, nothing.
 *
 *     for await (const price of every(1000, readPrice)) await stream.send({ event: "price", data: price });
 *
 * Calls keep to the beat of the first: no drift. They never overlap, and there is none while the consumer is busy: it
 * misses those beats, instead of finding them queued. The timer is there only while the consumer waits. Leaving the loop
 * or `signal` ends the iteration at once; what `produce` throws ends it with that error.
 * @param ms at least 1
 * @param produce is given a signal that aborts when the iteration ends, such as `fetch` takes
 * @throws MillraceError `invalid_option`
 */
export function every<T>(
  ms: number,
  produce: (signal: AbortSignal) => T | undefined | Promise<T | undefined>,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): AsyncIterable<T> {
  checkMs("ms", ms, 1);
  return iterable(async function* (until) {
    const startMs = performance.now();
    const call = async () => produce(until);
    let beat = 0;
    while (!until.aborted) {
      const value = await unlessAborted(call(), until);
      if (value !== undefined && !until.aborted) yield value;
      // Not the nearest beat from now on: a timer that fires some microseconds early would have two calls in one beat.
      beat = Math.max(beat + 1, Math.ceil((performance.now() - startMs) / ms));
      await pause(startMs + beat * ms - performance.now(), until);
    }
  }, signal);
}
