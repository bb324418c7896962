import { type AnyEvents, MillraceError } from "../protocol/index.js";
import { type EventStream, isSource, isStreamOver, type OpenStream, type Source } from "./stream.js";

// biome-ignore lint/suspicious/noConfusingVoidType: a handler without `return` has this type
type Result = Source | (() => unknown) | void;

/**
 * Writes to one client. What it returns says when the stream is over:
 * - a promise: when it is done; the client is told not to come back, for it has had everything
 * - an iterable, such as that of an `async function*`: after its last event, likewise
 * - a function: when the client leaves or `close()` is called; then the function is called, to clean up
 * - nothing: as a function that does nothing
 *
 * A handler that throws has its stream cut, and its client comes back.
 *
 * Behind the stream it is given what the route was given.
 */
export type StreamHandler<R, Rest extends readonly unknown[] = unknown[], E extends object = AnyEvents> = (
  stream: EventStream<E>,
  request: R,
  ...rest: Rest
) => Result | Promise<Result>;

/** Runs a handler to its end. `onError` is told what it throws. */
export function runHandler<R, Rest extends readonly unknown[], E extends object>(
  handler: StreamHandler<R, Rest, E>,
  stream: OpenStream,
  given: readonly [request: R, ...rest: Rest],
  onError: (error: unknown) => void,
): void {
  const failed = (error: unknown) => {
    if (isStreamOver(error) && !stream.isOpen) return;
    stream.destroy();
    onError(error);
  };
  const settled = (result: Result, asynchronous: boolean) => {
    if (isSource(result)) stream.pipe(result).then(finished, failed);
    else if (typeof result === "function") stream.onEnd(guarded(result, onError));
    else if (result !== undefined) failed(unknownResult(result));
    else if (asynchronous) finished();
  };
  const finished = () => stream.close({ reconnect: false });
  try {
    const result = (handler as StreamHandler<R, Rest>)(stream, ...given); // `E` is about types alone
    if (isPromise(result)) result.then((value) => settled(value, true)).then(undefined, failed);
    else settled(result, false);
  } catch (error) {
    failed(error);
  }
}

const isPromise = (value: unknown): value is Promise<Result> =>
  typeof value === "object" && value !== null && "then" in value;

const unknownResult = (result: unknown): MillraceError =>
  new MillraceError(
    "invalid_event",
    `a handler returned ${typeof result}: it sends with stream.send(), and returns nothing, an iterable of events, or a function that cleans up`,
  );

function guarded(cleanUp: () => unknown, onError: (error: unknown) => void): () => void {
  return async () => {
    try {
      await cleanUp();
    } catch (error) {
      onError(error);
    }
  };
}
