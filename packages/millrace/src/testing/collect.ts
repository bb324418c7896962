import { refusalOf } from "../client/request.js";
import { checkNumber, checkOptionKinds, invalidOption, MillraceError, type StreamEvent } from "../protocol/index.js";
import { deadline, defaultTimeoutMs } from "./deadline.js";
import { type EventSourceLike, eventsIn, eventsOf, type SourceEvent } from "./event-iterators.js";

export type { SourceEvent };

export interface CollectOptions {
  /** How long all of them may take, in milliseconds. Default 4,000. */
  readonly timeoutMs?: number | undefined;
  /** Events of other names do not count. Default: all; of an `EventSource`, which has to be told names, `message`. */
  readonly types?: readonly string[] | undefined;
}

type Collectable = EventSourceLike | Response | ReadableStream<Uint8Array> | AsyncIterable<unknown>;

/** What is collected of a stream: of `connect` and of other iterables what they give, of others events with text. */
export type Collected<S> = S extends EventSourceLike
  ? SourceEvent
  : S extends Response | ReadableStream<Uint8Array>
    ? StreamEvent
    : S extends AsyncIterable<infer T>
      ? T
      : never;

/**
 * The next events of a stream, once they have all come.
 *
 *     const [first, second] = await collect(connect(url), 2);
 *     const events = await collect(new EventSource(url), 3, { types: ["price", "halt"] });
 *     const events = await collect(await fetch(url), 3);
 *
 * A stream of `connect` and an `EventSource` stay open, without a listener of ours; a body is cancelled, an iteration ended.
 *
 * @param stream what `connect` answers with, an `EventSource` (the browser's, too), a `Response` or a `ReadableStream` of
 * type `text/event-stream`, or any async iterable
 * @throws MillraceError `timed_out` or `connection_lost`, with what has come so far; `refused` for a response that is no stream;
 * `invalid_option`
 */
export async function collect<S extends Collectable>(
  stream: S,
  n: number,
  options: CollectOptions = {},
): Promise<Collected<S>[]> {
  checkOptionKinds("collect", options, { timeoutMs: ["number"], types: ["array"] });
  const { timeoutMs = defaultTimeoutMs, types } = options;
  checkNumber("timeoutMs", timeoutMs, 0, Infinity);
  if (!Number.isSafeInteger(n) || n < 1) throw invalidOption("the number of events", n, "it is 1 or more");
  const controller = new AbortController();
  const iterator = iteratorOf(stream, types, controller.signal);
  const events: unknown[] = [];
  const soFar = (why: string) => `${why}, after ${events.length} of ${n} events${shown(events)}${stateOf(stream)}`;
  const [passed, stop] = deadline(timeoutMs, () => soFar(`waited for ${timeoutMs} ms`));
  try {
    while (events.length < n) {
      const { done, value } = await Promise.race([nextOf(iterator), passed]);
      if (done) throw new MillraceError("connection_lost", soFar("the stream has ended"));
      if (counts(value, types)) events.push(value);
    }
    return events as Collected<S>[];
  } catch (error) {
    if (error instanceof StreamFailed) {
      throw new MillraceError("connection_lost", soFar(`the stream has failed: ${error.message}`), error);
    }
    throw error;
  } finally {
    stop();
    controller.abort();
    // Not waited for: an iteration that still asks for its next event ends behind that.
    iterator.return?.().catch(() => {});
  }
}

class StreamFailed extends Error {}

function nextOf(iterator: AsyncIterator<unknown>): Promise<IteratorResult<unknown>> {
  return iterator.next().catch((cause: unknown) => {
    throw new StreamFailed(cause instanceof Error ? cause.message : String(cause), { cause });
  });
}

/** @throws MillraceError `invalid_option` */
function iteratorOf(
  stream: Collectable,
  types: readonly string[] | undefined,
  signal: AbortSignal,
): AsyncIterator<unknown> {
  if (typeof stream === "object" && stream !== null) {
    if ("addEventListener" in stream && "readyState" in stream) return eventsOf(stream, types ?? ["message"], signal);
    if ("getReader" in stream) return eventsIn(stream, signal);
    if ("body" in stream && "status" in stream) return eventsIn(bodyOf(stream), signal);
    if (Symbol.asyncIterator in stream) return stream[Symbol.asyncIterator]();
  }
  const what = "what connect answers with, an EventSource, a Response with a body, or an async iterable";
  throw new MillraceError("invalid_option", `collect takes ${what}`);
}

/** @throws MillraceError `refused` */
function bodyOf(response: Response): ReadableStream<Uint8Array> {
  const refusal = refusalOf(response) ?? (response.body ? undefined : "The answer has no body");
  if (refusal !== undefined) throw new MillraceError("refused", refusal);
  return response.body as ReadableStream<Uint8Array>;
}

function counts(value: unknown, types: readonly string[] | undefined): boolean {
  return types === undefined || (isObject(value) && types.includes(value.type as string));
}

const mostShown = 20;
const mostCharacters = 200;

/** As many as help. */
function shown(events: readonly unknown[]): string {
  if (events.length === 0) return "";
  const texts = events
    .slice(-mostShown)
    .map((event) => (JSON.stringify(event) ?? String(event)).slice(0, mostCharacters));
  return `: ${events.length > mostShown ? "… " : ""}${texts.join(", ")}`;
}

/** What a connection tells of itself: the reason for waiting in vain. */
function stateOf(stream: unknown): string {
  if (!isObject(stream)) return "";
  const { state, status, readyState } = stream;
  if (typeof readyState === "number") return `; its readyState is ${readyState}`;
  if (typeof state !== "string") return "";
  const error = isObject(status) && status.error instanceof Error ? `: ${status.error.message}` : "";
  return `; the connection is ${state}${error}`;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
