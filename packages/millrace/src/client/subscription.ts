import {
  type AnyEvents,
  closedId,
  type GapData,
  maxTimerMs,
  onAbort,
  type StreamEvent,
  withDefaults,
} from "../protocol/index.js";
import { Attempt, type Outcome } from "./attempt.js";
import { Backoff, defaultBackoff } from "./backoff.js";
import { type ConnectOptions, checkConnectOptions, checkHandler, type Snapshot } from "./connect-options.js";
import { ConnectionError } from "./connection-error.js";
import { Cursor, type CursorStore } from "./cursor.js";
import { decode } from "./decode.js";
import { messageOf } from "./error-event.js";
import { defaultFallback, Fallback } from "./fallback.js";
import { Handlers, throwLater } from "./handlers.js";
import { Iterations } from "./iteration.js";
import { isHidden, watchPage } from "./page.js";
import { createReader, type EventReader } from "./read.js";
import { Source } from "./source.js";
import type { FetchLikeResponse, WebAbortSignal, WebUrl } from "./web-types.js";

/**
 *   connecting → open → waiting → connecting …        where streams are held back: connecting → polling → …
 *   any → closed
 */
export type ConnectionState = "connecting" | "open" | "waiting" | "polling" | "closed";

export interface ConnectionStatus {
  readonly state: ConnectionState;
  /** Failed attempts since the last success, and after how many it gives up. */
  readonly attempt: number;
  readonly attempts: number;
  /** Why the last attempt failed; undefined while nothing has, and when the server has ended the stream. */
  readonly error: ConnectionError | undefined;
  /** What the server said as it ended the stream: `shutdown`, `expired`, `ended`, … */
  readonly reason: string | undefined;
  /** While it waits: how long in all, and until when, in milliseconds since 1970. */
  readonly waitMs: number | undefined;
  readonly untilMs: number | undefined;
}

interface Received<N, D> {
  /** The event's name; `message` when it has none. */
  readonly type: N;
  readonly data: D;
  /** `data` as it came. */
  readonly text: string;
  /** The position behind it. */
  readonly id: string;
  /** What a hub says; undefined from other servers. */
  readonly channel: string | undefined;
}

/** An event of the map `E`, as far as publishers keep to it. */
export type ReceivedEvent<E extends object = AnyEvents> = string extends keyof E
  ? Received<string, unknown>
  : { [N in keyof E]: Received<N, E[N]> }[keyof E];

/** What a connection tells of itself. A server's event of one of these names is found under `*` only. */
export interface ConnectionEvents<E extends object = AnyEvents> {
  /** Any event of the server. */
  "*": ReceivedEvent<E>;
  open: { readonly type: "open"; readonly connection: string | undefined };
  state: ConnectionStatus & { readonly type: "state" };
  /** An attempt has failed, or an event's data is not as expected: then `event` is set, and was given to no handler. */
  error: { readonly type: "error"; readonly error: Error; readonly event: StreamEvent | undefined };
  /** Events are missing: see PROTOCOL.md, 3.3. */
  gap: GapData & { readonly type: "gap" };
  snapshot: Snapshot & { readonly type: "snapshot" };
  comment: { readonly type: "comment"; readonly text: string };
  /** The budget of attempts is used up; `close` follows. */
  gaveup: { readonly type: "gaveup"; readonly error: ConnectionError };
  close: ConnectionStatus & { readonly type: "close" };
}

type EventOf<E extends object, N> = N extends keyof ConnectionEvents<E>
  ? ConnectionEvents<E>[N]
  : N extends keyof E
    ? Received<N, E[N]>
    : ReceivedEvent;

const own = ["*", "open", "state", "error", "gap", "snapshot", "comment", "gaveup", "close"];

/** A stream that survives: see `connect`. */
export class Subscription<E extends object = AnyEvents> implements AsyncIterable<ReceivedEvent<E>> {
  readonly #options: ConnectOptions<E>;
  readonly #source: Source;
  readonly #backoff: Backoff;
  readonly #fallback: Fallback;
  readonly #cursor: Cursor;
  readonly #reader: EventReader;
  readonly #handlers = new Handlers();
  readonly #iterations = new Iterations<ReceivedEvent<E>>();
  readonly #forgetPage: () => void;
  #forgetSignal: (() => void) | undefined;
  /** Ends the attempt or the wait under way. */
  #interrupt = new AbortController();
  #attempt: Attempt | undefined;
  #wakeUp: (() => void) | undefined;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  /** The page is in the browser's cache, or has been hidden for long. */
  #paused = false;
  #status: ConnectionStatus;
  #retryMs = 0;
  /** What the last stream said as it ended. */
  #farewell: { readonly reason: string; readonly reconnect: boolean } | undefined;
  #needsSnapshot: boolean;
  #connection: string | undefined;

  constructor(url: string | WebUrl, options: ConnectOptions<E> = {}) {
    checkConnectOptions(options);
    this.#options = options;
    this.#source = new Source(url, options);
    this.#backoff = new Backoff(withDefaults(defaultBackoff, options.backoff));
    const { fallback = {}, maxBlockLength, lastEventId = "", signal } = options;
    this.#fallback = new Fallback(fallback === false ? undefined : withDefaults(defaultFallback, fallback));
    this.#cursor = new Cursor(lastEventId, ...storeOf(options));
    this.#needsSnapshot = options.snapshot !== undefined;
    this.#reader = createReader(
      {
        onRetry: (ms) => {
          this.#retryMs = Math.min(ms, maxTimerMs);
        },
        onComment: (text) => this.#tell("comment", { text }),
      },
      maxBlockLength === undefined ? {} : { maxBlockLength },
      true,
    );
    this.#status = {
      ...{ state: "connecting", attempt: 0, attempts: this.#backoff.attempts },
      ...{ error: undefined, reason: undefined, waitMs: undefined, untilMs: undefined },
    };
    if (options.onGap) this.on("gap", options.onGap);
    this.#forgetPage = watchPage({
      awake: () => this.#awake(),
      hidden: () => this.#hidden(),
      left: () => this.#pause(),
      returned: () => this.#awake(),
    });
    const given = signal as AbortSignal | undefined;
    if (given && !given.aborted) this.#forgetSignal = onAbort(given, () => this.close());
    // In a task of its own: handlers that are added now hear everything.
    queueMicrotask(() => (given?.aborted ? this.close() : void this.#run()));
  }

  get url(): string {
    return this.#source.url;
  }

  get state(): ConnectionState {
    return this.#status.state;
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  /** The cursor: the position behind what the handlers have had; "" before there is one. */
  get lastEventId(): string {
    return this.#cursor.id;
  }

  get channels(): readonly string[] {
    return this.#source.channels;
  }

  /**
   * Calls the handler with each event of this name, or with what the connection tells of itself. Answers with a function
   * that takes it away.
   * @throws MillraceError `invalid_option`
   */
  on<N extends keyof ConnectionEvents | (keyof E & string) | (string & {})>(
    type: N,
    handler: (event: EventOf<E, N>) => unknown,
  ): () => void {
    checkHandler(type, handler);
    return this.#handlers.add(type, handler as (event: never) => unknown);
  }

  /**
   * The server's events from now on. The next one is read when this one is done with: a loop that takes its time slows
   * the stream down, and nothing piles up here. The loop ends when the connection is closed, and throws when it failed for
   * good.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<ReceivedEvent<E>> {
    return this.events();
  }

  /** The same; the signal ends the loop, and not the connection. */
  events({ signal }: { signal?: WebAbortSignal } = {}): AsyncIterableIterator<ReceivedEvent<E>> {
    return this.#iterations.add(signal as AbortSignal | undefined);
  }

  /** Reads these channels, too: on the open stream, without a reconnection. Of a Millrace hub. */
  async add(...channels: string[]): Promise<void> {
    await this.#change(channels, []);
  }

  /** Reads these channels no longer. */
  async drop(...channels: string[]): Promise<void> {
    await this.#change([], channels);
  }

  /** Tries again at once, when it waits. */
  reconnect(): void {
    this.#wakeUp?.();
  }

  /** Ends it for good. No event comes after it. */
  close(): void {
    this.#end(undefined);
  }

  async #run(): Promise<void> {
    let renewed = false;
    while (this.state !== "closed") {
      if (this.#paused) {
        this.#enter("waiting", {});
        await this.#wait(Infinity);
        continue;
      }
      const polls = this.#fallback.polls;
      this.#enter(polls ? "polling" : "connecting", {});
      this.#interrupt = new AbortController();
      const outcome = await this.#try(this.#interrupt.signal, polls);
      if (this.#status.state === "closed") return;
      if (this.#interrupt.signal.aborted) continue; // paused, or to begin anew
      const { error, again, waitMs = 0, idle = false } = outcome;
      if (error) this.#tell("error", { error, event: undefined });
      // A token may have expired: once more, with another.
      renewed = error?.status === 401 && this.#source.hasFreshHeaders && !renewed;
      if (this.#farewell?.reconnect === false || !(again || renewed)) return this.#end(error);
      if (renewed || (polls && !error && !idle)) continue;
      if (error) {
        this.#backoff.failed();
        if (this.#backoff.isSpent) {
          this.#tell("gaveup", { error });
          return this.#end(error);
        }
      }
      const delayMs = this.#backoff.waitMs(Math.max(waitMs, this.#retryMs));
      this.#enter("waiting", { error, waitMs: delayMs });
      await this.#wait(delayMs);
    }
  }

  /** One attempt, from the snapshot to the end of what was answered. `idle`: a poll was answered at once, with nothing. */
  async #try(signal: AbortSignal, polls: boolean): Promise<Outcome & { readonly idle?: boolean }> {
    this.#farewell = undefined;
    if (this.#needsSnapshot) {
      const error = await this.#show(signal);
      if (error) return { error, again: true };
    }
    const { openMs = 30_000, silenceMs } = this.#options;
    const before = this.#cursor.id;
    const startedMs = performance.now();
    let heardAtMs: number | undefined;
    let ofHub = false;
    const attempt = new Attempt({
      ask: (abort) => this.#source.ask({ lastEventId: this.#cursor.id, poll: polls, signal: abort }),
      reader: this.#reader,
      openMs: this.#fallback.openMs(openMs),
      patience: (response) => {
        const silence = silenceMs ?? announcedMs(response) * 3;
        return { firstByteMs: polls ? silence : this.#fallback.firstByteMs(silence), silenceMs: silence };
      },
      onOpen: (response) => {
        ofHub = this.#fallback.opened(response);
        if (polls) return;
        this.#connection = response.headers.get("millrace-connection") ?? undefined;
        this.#enter("open", {});
        this.#tell("open", { connection: this.#connection });
      },
      onBytes: () => {
        heardAtMs ??= performance.now();
        this.#backoff.succeeded();
      },
      onEvent: (event) => this.#take(event, ofHub, signal),
    });
    this.#attempt = attempt;
    const outcome = await attempt.run(signal);
    this.#attempt = undefined;
    this.#connection = undefined;
    const nowMs = performance.now();
    const inOrder = this.#farewell !== undefined || signal.aborted;
    const tookMs = nowMs - startedMs;
    if (polls) {
      if (outcome.error?.code === "refused" && this.#fallback.refused()) return { ...outcome, again: true };
      return { ...outcome, idle: before !== "" && before === this.#cursor.id && tookMs < 500 };
    }
    this.#fallback.ended(outcome, tookMs, heardAtMs === undefined ? undefined : nowMs - heardAtMs, inOrder);
    if (outcome.error || !outcome.again || inOrder) return outcome;
    return { again: true, error: new ConnectionError("connection_lost", "the stream has ended, and did not say why") };
  }

  /** The state that events change. What it has of them is not told again: the stream begins behind it. */
  async #show(signal: AbortSignal): Promise<ConnectionError | undefined> {
    try {
      const snapshot = await this.#options.snapshot?.(signal);
      if (signal.aborted || !snapshot) return undefined;
      if (typeof snapshot.position !== "string" || snapshot.position === "") {
        throw new Error("it has no position: answer { position, data }, as of hub.position() or Millrace-Position");
      }
      this.#needsSnapshot = false;
      this.#tell("snapshot", snapshot);
      this.#cursor.moveTo(snapshot.position);
      return undefined;
    } catch (cause) {
      return new ConnectionError("connection_lost", `the snapshot has failed: ${messageOf(cause)}`, { cause });
    }
  }

  /** Gives an event to whom it concerns, and moves the cursor behind it. */
  async #take(event: StreamEvent, ofHub: boolean, signal: AbortSignal): Promise<void> {
    const { type, data, lastEventId: id } = event;
    if (type === "millrace.close") this.#farewell = JSON.parse(data);
    else if (type === "millrace.gap") {
      this.#tell("gap", JSON.parse(data));
      if (this.#options.snapshot) {
        // What follows is in the snapshot, or comes behind it.
        this.#needsSnapshot = true;
        this.#interrupt.abort();
        return;
      }
    } else if (type !== "" && !(ofHub && this.#cursor.hasSeen(id))) {
      await this.#give(event, signal);
      if (signal.aborted && this.#paused) return;
      if (ofHub) this.#cursor.saw(id);
    }
    if (id !== closedId) this.#cursor.moveTo(id);
  }

  async #give(event: StreamEvent, signal: AbortSignal): Promise<void> {
    const { parse = "json", schemas = {} } = this.#options;
    const { type, data: text, lastEventId: id, channel } = event;
    let data: unknown;
    try {
      data = decode(event, parse, Object.hasOwn(schemas, type) ? schemas[type as keyof typeof schemas] : undefined);
      if (data instanceof Promise) data = await data;
    } catch (error) {
      this.#tell("error", { error, event });
      return;
    }
    if (this.state === "closed" || signal.aborted) return;
    const received = { type, data, text, id, channel };
    if (!own.includes(type)) this.#handlers.call(type, received, throwLater);
    this.#handlers.call("*", received, throwLater);
    await this.#iterations.give(received as ReceivedEvent<E>);
  }

  async #change(add: readonly string[], drop: readonly string[]): Promise<void> {
    const before = this.#source.channels;
    this.#source.change(add, drop);
    if (this.#connection !== undefined) {
      const refusal = await this.#source.changeOpen(this.#connection, add, drop);
      if (refusal === undefined) return;
      if (refusal.status !== undefined && refusal.status !== 404) {
        this.#source.change(before, this.#source.channels);
        throw refusal;
      }
    }
    // A stream that cannot be changed is asked for anew, with the same cursor.
    this.#interrupt.abort();
    this.#wakeUp?.();
  }

  #end(error: ConnectionError | undefined): void {
    if (this.state === "closed") return;
    this.#forgetPage();
    this.#forgetSignal?.();
    clearTimeout(this.#hiddenTimer);
    this.#interrupt.abort();
    this.#enter("closed", { error });
    this.#wakeUp?.();
    this.#iterations.end(error);
    this.#tell("close", this.#status);
  }

  #enter(state: ConnectionState, { error, waitMs }: { error?: ConnectionError | undefined; waitMs?: number }): void {
    const { failures, attempts } = this.#backoff;
    const last = state === "connecting" || state === "polling" ? this.#status.error : undefined;
    this.#status = {
      ...{ state, attempt: failures, attempts, error: error ?? last, reason: this.#farewell?.reason, waitMs },
      untilMs: waitMs === undefined ? undefined : Date.now() + waitMs,
    };
    this.#tell("state", this.#status);
  }

  #tell(type: string, event: object): void {
    this.#handlers.call(type, { ...event, type }, throwLater);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? undefined : setTimeout(() => this.#wakeUp?.(), Math.min(ms, maxTimerMs));
      this.#wakeUp = () => {
        clearTimeout(timer);
        this.#wakeUp = undefined;
        resolve();
      };
    });
  }

  #awake(): void {
    clearTimeout(this.#hiddenTimer);
    this.#paused = false;
    this.#attempt?.look();
    this.#wakeUp?.();
  }

  #hidden(): void {
    const { hiddenMs = Infinity } = this.#options;
    if (hiddenMs <= maxTimerMs) this.#hiddenTimer = setTimeout(() => isHidden() && this.#pause(), hiddenMs);
  }

  #pause(): void {
    this.#paused = true;
    this.#interrupt.abort();
    this.#wakeUp?.();
  }
}

/** How often an idle stream is written to, where the server says it. */
function announcedMs({ headers }: FetchLikeResponse): number {
  const ms = Number(headers.get("millrace-heartbeat-ms") ?? 0);
  return ms > 0 ? ms : Infinity;
}

/** Where the cursor is kept, and under which name. */
function storeOf({ persist }: { readonly persist?: ConnectOptions["persist"] }): [CursorStore | undefined, string] {
  if (persist === undefined) return [undefined, ""];
  if (typeof persist !== "string") return [persist.store, persist.key];
  try {
    return [(globalThis as { sessionStorage?: CursorStore }).sessionStorage, persist];
  } catch {
    return [undefined, persist]; // forbidden by the browser's settings
  }
}
