import { onAbort } from "../protocol/index.js";

/**
 * An async iterable each of whose iterations is a run of its own, and begins when it is first asked for something.
 * `generate` is given a signal that aborts when its iteration is over, whoever ended it: the consumer, `signal`, an
 * error or itself. What it awaits must end with that signal: a generator that waits does not hear of `return()`.
 */
export function iterable<T>(
  generate: (until: AbortSignal) => AsyncGenerator<T, void, undefined>,
  signal?: AbortSignal,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const over = new AbortController();
      const end = () => over.abort();
      const items = run();
      return {
        next: () => items.next(),
        return: () => {
          end();
          return items.return();
        },
        throw: (error: unknown) => {
          end();
          return items.throw(error);
        },
      };

      async function* run(): AsyncGenerator<T, void, undefined> {
        if (signal?.aborted) return;
        const forget = signal && onAbort(signal, end);
        try {
          yield* generate(over.signal);
        } finally {
          forget?.();
          end();
        }
      }
    },
  };
}

/** Resolves after so long, or as soon as the signal aborts. */
export function pause(ms: number, until: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (until.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      until.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    until.addEventListener("abort", done);
  });
}

/** What `work` answers; undefined as soon as the signal aborts, and then how it ends is nobody's business. */
export function unlessAborted<T>(work: Promise<T>, until: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const abandon = () => resolve(undefined);
    if (until.aborted) abandon();
    until.addEventListener("abort", abandon);
    work.then(resolve, reject).finally(() => until.removeEventListener("abort", abandon));
  });
}
