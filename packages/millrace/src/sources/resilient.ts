import { checkCount, checkMs } from "./check.js";
import { every } from "./every.js";
import { iterable, pause } from "./iteration.js";

/** An event fit for `stream.send`: what the source answered, a hint that it failed, or the last word. */
export interface ResilientEvent<T> {
  readonly data: T | { readonly retry: number } | { readonly error: string };
  /** Tells the client to wait so many milliseconds before it reconnects. */
  readonly retry?: number;
}

export interface ResilientOptions {
  /** How often the source is called, in milliseconds, at least 1. Default 500. */
  readonly everyMs?: number | undefined;
  /** Failures in a row at which it gives up. Default 3. */
  readonly attempts?: number | undefined;
  /** How long it waits after a failure, in milliseconds. Default 1,000. */
  readonly pauseMs?: number | undefined;
  /** What clients are told at a failure: to wait so long before they reconnect. Default 5,000. */
  readonly retryMs?: number | undefined;
  /**
   * What clients are told of the last failure. Default: the message of what the source threw, at most 200 characters; of
   * an error of the operating system only its code, such as `ECONNREFUSED`, because its message names hosts and paths.
   */
  readonly describe?: ((error: unknown) => string) | undefined;
  /** Told of each failure, and how many in a row it makes. Default: nobody. */
  readonly onFailure?: ((error: unknown, failures: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Events from a source that may fail:
 *
 *     await stream.pipe(resilient(readTemperature));
 *
 * Calls `produce` at once and then each `everyMs`, never twice at the same time, and yields `{ data }` (for undefined,
 * nothing). When it throws or rejects it yields `{ retry: 5000, data: { retry: n } }` for the n-th failure in a row,
 * waits `pauseMs` and calls it again; a success begins the count anew. At the last failure it yields
 * `{ data: { error: "Max retries exceeded: <cause>" } }` and ends.
 *
 * **Clients read the cause.** The source's own words are shown to them: where these may hold what is not for everyone
 * (SQL, addresses, names of tables), give `describe: () => "the source does not answer"`, and log in `onFailure`.
 * @param produce is given a signal that aborts when the iteration ends. A source that never answers is waited for: bound
 * it with `AbortSignal.any([signal, AbortSignal.timeout(2000)])`
 * @throws MillraceError `invalid_option`
 */
export function resilient<T>(
  produce: (signal: AbortSignal) => T | undefined | Promise<T | undefined>,
  options: ResilientOptions = {},
): AsyncIterable<ResilientEvent<T>> {
  const { everyMs = 500, attempts = 3, pauseMs = 1000, retryMs = 5000 } = options;
  const { describe = causeOf, onFailure, signal } = options;
  checkMs("everyMs", everyMs, 1);
  checkCount("attempts", attempts, 1);
  checkMs("pauseMs", pauseMs, 0);
  checkCount("retryMs", retryMs, 0);
  return iterable(async function* (until) {
    let failures = 0;
    const attempt = async (ended: AbortSignal): Promise<ResilientEvent<T> | undefined> => {
      let data: T | undefined;
      try {
        data = await produce(ended);
      } catch (error) {
        if (ended.aborted) return undefined;
        failures++;
        onFailure?.(error, failures);
        if (failures < attempts) return { retry: retryMs, data: { retry: failures } };
        return { data: { error: `Max retries exceeded: ${describe(error)}` } };
      }
      failures = 0;
      return data === undefined ? undefined : { data };
    };
    while (!until.aborted && failures < attempts) {
      // A new beat after each failure: a source that was paused is called when the pause is over, not at the old one.
      for await (const event of every(everyMs, attempt, { signal: until })) {
        yield event;
        if (failures > 0) break;
      }
      if (failures < attempts) await pause(pauseMs, until);
    }
  }, signal);
}

function causeOf(error: unknown): string {
  if (typeof error === "string") return cut(error);
  if (!(error instanceof Error)) return "unknown";
  const { code, syscall, message, name } = error as NodeJS.ErrnoException;
  return cut(syscall !== undefined && code !== undefined ? code : message || code || name);
}

const cut = (text: string): string => (text.length <= 200 ? text : `${text.slice(0, 200).toWellFormed()}...`);
