import type { SendEvent } from "./send-event.js";
import { type EventStream, isStreamClosed, type OpenStream } from "./stream.js";

type Source = AsyncIterable<SendEvent | string>;
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without `return` has this type
type Result = Source | (() => void) | void;

/**
 * Writes to one client. What it returns says when the stream is over:
 * - a promise: when it is done; the client is told not to come back, for it has had everything
 * - an async iterable, such as that of an `async function*`: after its last event, likewise
 * - a function: when the client leaves or `close()` is called; then the function is called, to clean up
 * - nothing: as a function that does nothing
 *
 * A handler that throws has its stream cut, and its client comes back.
 */
export type StreamHandler<R> = (stream: EventStream, request: R) => Result | Promise<Result>;

/** Runs a handler to its end. `onError` is told what it throws. */
export function runHandler<R>(
  handler: StreamHandler<R>,
  stream: OpenStream,
  request: R,
  onError: (error: unknown) => void,
): void {
  const failed = (error: unknown) => {
    if (isStreamClosed(error) && !stream.isOpen) return;
    onError(error);
    stream.destroy();
  };
  const settled = (result: Result, asynchronous: boolean) => {
    if (isSource(result)) stream.pipe(result).then(finished, failed);
    else if (typeof result === "function") stream.onEnd(guarded(result, onError));
    else if (asynchronous) finished();
  };
  const finished = () => stream.close({ reconnect: false });
  try {
    const result = handler(stream, request);
    if (isPromise(result)) result.then((value) => settled(value, true)).catch(failed);
    else settled(result, false);
  } catch (error) {
    failed(error);
  }
}

const isPromise = (value: unknown): value is Promise<Result> =>
  typeof value === "object" && value !== null && "then" in value;

const isSource = (value: unknown): value is Source =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;

function guarded(cleanUp: () => void, onError: (error: unknown) => void): () => void {
  return () => {
    try {
      cleanUp();
    } catch (error) {
      onError(error);
    }
  };
}
