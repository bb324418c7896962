import { createParser, MillraceError, type StreamEvent } from "../protocol/index.js";

/** What an `EventSource` has, the browser's own or that of `millrace/client`. */
export interface EventSourceLike {
  readonly readyState: number;
  readonly withCredentials: boolean;
  addEventListener(type: string, listener: never): void;
  removeEventListener(type: string, listener: never): void;
}

/** An event of an `EventSource`. */
export interface SourceEvent {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
}

const closed = 2;

/** The events of an EventSource from now on, until the signal aborts. @throws MillraceError when it has failed for good */
export async function* eventsOf(
  source: EventSourceLike,
  types: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<SourceEvent, void, void> {
  const waiting: SourceEvent[] = [];
  let wake = () => {};
  let failure: string | undefined;
  const hear = ({ type, data, lastEventId }: SourceEvent) => {
    waiting.push({ type, data, lastEventId });
    wake();
  };
  const fail = ({ message }: { readonly message?: string }) => {
    if (source.readyState === closed) failure = message ?? "the EventSource has failed";
    wake();
  };
  const listeners = [...types.map((type) => [type, hear] as const), ["error", fail] as const];
  for (const [type, listener] of listeners) source.addEventListener(type, listener as never);
  signal.addEventListener("abort", () => {
    for (const [type, listener] of listeners) source.removeEventListener(type, listener as never);
    wake();
  });
  while (!signal.aborted) {
    yield* waiting.splice(0);
    if (failure !== undefined) throw new MillraceError("connection_lost", failure);
    if (source.readyState === closed) return;
    if (waiting.length > 0 || signal.aborted) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

/** The events of a body; the signal cancels it. */
export async function* eventsIn(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent, void, void> {
  const waiting: StreamEvent[] = [];
  const parser = createParser({ onEvent: (event) => void waiting.push(event) });
  const reader = body.getReader();
  signal.addEventListener("abort", () => void reader.cancel().catch(() => {}));
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(value);
    yield* waiting.splice(0);
  }
}
