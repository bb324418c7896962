import { type AnyEvents, closedId, onAbort, type StreamEvent } from "../protocol/index.js";
import { type ConnectOptions, checkConnectOptions, checkHandler } from "./connect-options.js";
import { ConnectionError } from "./connection-error.js";
import type { ConnectionEvents, EventOf, ReceivedEvent } from "./connection-events.js";
import { createCursor } from "./cursor.js";
import { decode } from "./decode.js";
import { messageOf } from "./error-event.js";
import { createHandlers } from "./handlers.js";
import { createIterations } from "./iteration.js";
import { createLine } from "./line.js";
import { createSource } from "./source.js";
import type { ConnectionState, ConnectionStatus } from "./status.js";
import type { WebAbortSignal, WebUrl } from "./web-types.js";

const own = ["*", "open", "state", "error", "gap", "snapshot", "comment", "gaveup", "close"];

/** A stream that survives: see `connect`. */
export interface Subscription<E extends object = AnyEvents> extends AsyncIterable<ReceivedEvent<E>> {
  readonly url: string;
  readonly state: ConnectionState;
  readonly status: ConnectionStatus;
  /** The cursor: the position behind what the handlers have had; "" before there is one. */
  readonly lastEventId: string;
  readonly channels: readonly string[];
  /**
   * Calls the handler with each event of this name, or with what the connection tells of itself. Answers with a function
   * that takes it away.
   * @throws MillraceError `invalid_option`
   */
  on<N extends keyof ConnectionEvents | (keyof E & string) | (string & {})>(
    type: N,
    handler: (event: EventOf<E, N>) => unknown,
  ): () => void;
  /**
   * The server's events from now on. The next one is read when this one is done with: a loop that takes its time slows
   * the stream down, and nothing piles up here. The loop ends when the connection is closed, and throws when it failed for
   * good.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<ReceivedEvent<E>>;
  /** The same; the signal ends the loop, and not the connection. */
  events(options?: { readonly signal?: WebAbortSignal }): AsyncIterableIterator<ReceivedEvent<E>>;
  /** Reads these channels, too: on the open stream, without a reconnection. Of a Millrace hub. */
  add(...channels: string[]): Promise<void>;
  /** Reads these channels no longer. */
  drop(...channels: string[]): Promise<void>;
  /** Tries again at once, when it waits. */
  reconnect(): void;
  /** Ends it for good. No event comes after it. */
  close(): void;
}

/** What comes over its line it decodes, and gives to whom it concerns. @throws MillraceError `invalid_option` */
export function subscribe<E extends object>(url: string | WebUrl, options: ConnectOptions<E>): Subscription<E> {
  checkConnectOptions(options);
  const { lastEventId = "", persist, snapshot, onGap, parse = "json", schemas = {}, share = createLine } = options;
  const source = createSource(url, options);
  const cursor = createCursor(lastEventId, persist);
  const handlers = createHandlers();
  const iterations = createIterations<ReceivedEvent<E>>();
  let forgetSignal = () => {};
  let needsSnapshot = snapshot !== undefined;

  const tell = (type: string, event: object) => {
    handlers.call(type, { ...event, type });
    if (type !== "close") return;
    forgetSignal();
    iterations.end(line.status.error);
  };

  /** The state that events change. What it has of them is not told again: the stream begins behind it. */
  async function prepare(signal: AbortSignal): Promise<ConnectionError | undefined> {
    if (!needsSnapshot) return undefined;
    try {
      const taken = await snapshot?.(signal);
      if (signal.aborted) return undefined;
      const position = taken?.position;
      if (typeof position !== "string" || !position) throw new Error("it has no position: answer { position, data }");
      needsSnapshot = false;
      tell("snapshot", taken);
      cursor.moveTo(position);
      return undefined;
    } catch (cause) {
      return new ConnectionError("connection_lost", `the snapshot has failed: ${messageOf(cause)}`, { cause });
    }
  }

  /** Gives an event to whom it concerns, and moves the cursor behind it. */
  async function take(event: StreamEvent, ofHub: boolean, signal: AbortSignal): Promise<void> {
    const { type, data, lastEventId: id } = event;
    if (type === "millrace.gap") {
      tell("gap", JSON.parse(data));
      if (snapshot) {
        // What follows is in the snapshot, or comes behind it.
        needsSnapshot = true;
        line.restart();
        return;
      }
    } else if (type !== "" && type !== "millrace.close" && !(ofHub && cursor.hasSeen(id))) {
      // What was not given must come again.
      if (!(await give(event, signal))) return;
      if (ofHub) cursor.saw(id);
    }
    if (id !== closedId) cursor.moveTo(id);
  }

  /** Answers whether it is done with. */
  async function give(event: StreamEvent, signal: AbortSignal): Promise<boolean> {
    const { type, data: text, lastEventId: id, channel } = event;
    let data: unknown;
    try {
      data = decode(event, parse, Object.hasOwn(schemas, type) ? schemas[type as keyof typeof schemas] : undefined);
      // Not of all: an event that is there comes before what its handlers have queued.
      if (data instanceof Promise) data = await data;
    } catch (error) {
      tell("error", { error, event });
      return true;
    }
    if (signal.aborted) return false;
    const received = { type, data, text, id, channel };
    if (!own.includes(type)) handlers.call(type, received);
    handlers.call("*", received);
    await iterations.give(received as ReceivedEvent<E>);
    return true;
  }

  const line = (share as typeof createLine)(source, options, { cursor: () => cursor.id, prepare, take, tell });
  const subscription: Subscription<E> = {
    url: source.url,
    get state() {
      return line.status.state;
    },
    get status() {
      return line.status;
    },
    get lastEventId() {
      return cursor.id;
    },
    get channels() {
      return source.channels;
    },
    on(type, handler) {
      checkHandler(type, handler);
      return handlers.add(type, handler);
    },
    events: ({ signal } = {}) => iterations.add(signal as AbortSignal | undefined),
    [Symbol.asyncIterator]: () => iterations.add(),
    add: (...channels) => line.change(channels, []),
    drop: (...channels) => line.change([], channels),
    reconnect: line.hurry,
    close: line.close,
  };
  if (onGap) subscription.on("gap", onGap);
  const signal = options.signal as AbortSignal | undefined;
  if (signal && !signal.aborted) forgetSignal = onAbort(signal, line.close);
  // In a task of its own: handlers that are added now hear everything.
  queueMicrotask(() => (signal?.aborted ? line.close() : line.open()));
  return subscription;
}
