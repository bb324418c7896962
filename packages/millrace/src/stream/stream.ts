import { type AnyEvents, closeBlock, encodeBlock, farewellBlock, MillraceError } from "../protocol/index.js";
import type { Timed } from "../sink/deadlines.js";
import type { Sink, SinkOwner } from "../sink/sink.js";
import { pace, turn, untilNextTurn } from "./pace.js";
import { encodeSendEvent, type Sendable } from "./send-event.js";

/** Events to send, one after the other. */
export type Source<E extends object = AnyEvents> = AsyncIterable<Sendable<E>> | Iterable<Sendable<E>>;

/** Who a stream is for, as the application's `authorize` answered. */
export interface StreamIdentity {
  readonly user?: string;
  readonly roles?: readonly string[];
  /** When the stream ends, in milliseconds since 1970. */
  readonly expiresAtMs?: number;
}

/**
 * One client's connection, to be written to.
 *
 * What is written resolves when the client can take more: at once as a rule, when its connection has emptied if it is slow,
 * and now and then with the next turn of the event loop, so that a fast loop leaves room for everyone else. After the
 * stream's end it rejects with `stream_closed`, which ends a handler's loop, and which a handler may let pass.
 *
 * A call that is not awaited does no harm. When more than `maxUnsentBytes` would wait for a slow client, it rejects with
 * `stream_full`, and the stream is cut, because its client would otherwise miss events without knowing: it comes back. A
 * loop that never waits has it thrown.
 *
 * `E` names the events, each with the type of its data: `async (stream: EventStream<Events>) => …`.
 */
export interface EventStream<E extends object = AnyEvents> {
  /** Names the connection; not to be guessed. The client has it in the header `Millrace-Connection`. */
  readonly id: string;
  /** The last id that the client received before it came back; empty when it is new. */
  readonly lastEventId: string;
  /** What `authorize` answered. */
  readonly identity: StreamIdentity;
  /** Aborted when the stream is over, whoever ended it. Its reason is the error that `send` rejects with then. */
  readonly signal: AbortSignal;
  /** Resolves when the stream is over and its connection is free. */
  readonly closed: Promise<void>;
  /**
   * Sends an event, or a string as the data of one.
   * @throws MillraceError `invalid_event`, at once; rejects with `stream_full`, `stream_closed`
   */
  send(event: Sendable<E>): Promise<void>;
  /** Sends a comment, which no page sees. */
  comment(text: string): Promise<void>;
  /** Tells the client to wait so many milliseconds before it reconnects. */
  retry(ms: number): Promise<void>;
  /**
   * Sends what a source yields, for as long as both last, and asks it for no more while the client is slow. When the client
   * leaves, the source is told (`return()`). Resolves at the source's end; rejects with what the source throws, and with
   * `stream_closed`.
   */
  pipe(source: Source<E>): Promise<void>;
  /**
   * Ends the stream, after what was sent. `reconnect: false` tells the client not to come back, a native EventSource too.
   * @param options.reconnect default true
   * @param options.reason told to the client in the event `millrace.close`; default `done`
   */
  close(options?: { readonly reconnect?: boolean; readonly reason?: string }): void;
}

export interface StreamParts {
  readonly id: string;
  readonly sink: Sink;
  readonly lastEventId: string;
  readonly identity: StreamIdentity;
  readonly maxUnsentBytes: number;
  /** The stream was ended here, and its connection is not free yet. */
  readonly onEnding: (stream: OpenStream) => void;
  readonly onClosed: (stream: OpenStream) => void;
  /** The stream was cut for what its handler did. */
  readonly onError: (error: unknown) => void;
}

interface Waiting {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Refusals in one turn of the event loop that come at once; those behind come with the next one. */
const quickRefusals = 100;
/** Refusals in one turn after which they are thrown: so many are a loop that waits for nothing, and nothing else ends it. */
const mostRefusals = 1_000_000;

/** An EventStream and what its mount does with it. What few handlers use is made when it is asked for. */
export class OpenStream implements EventStream, SinkOwner, Timed {
  slot = -1;
  endsAtMs: number;
  readonly #parts: StreamParts;
  #state: "open" | "ending" | "closed" = "open";
  /** Since when its client has taken nothing; 0: it takes. */
  #fullSinceMs = 0;
  /** What was written since the sink was full. */
  #unsentBytes = 0;
  #pendingBytes = 0;
  /** Why it may not be written to any more. */
  #reason: MillraceError | undefined;
  #refusal: Promise<void> | undefined;
  #refused = 0;
  #refusedTurn = -1;
  #waiting: Waiting | undefined;
  #closed: Waiting | undefined;
  #abort: AbortController | undefined;
  #cleanUp: (() => void) | undefined;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.endsAtMs = parts.identity.expiresAtMs ?? Infinity;
    parts.sink.open(this);
  }

  get id(): string {
    return this.#parts.id;
  }

  get lastEventId(): string {
    return this.#parts.lastEventId;
  }

  get identity(): StreamIdentity {
    return this.#parts.identity;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (!this.isOpen) this.#abort.abort(this.#reason);
    return this.#abort.signal;
  }

  get closed(): Promise<void> {
    if (this.#state === "closed") return Promise.resolve();
    this.#closed ??= waiting();
    return this.#closed.promise;
  }

  /** Whether it may be written to. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  get isFull(): boolean {
    return this.#fullSinceMs !== 0;
  }

  /** For how long its client has taken nothing of what it is sent. */
  stalledMs(nowMs: number): number {
    return this.isFull ? nowMs - this.#fullSinceMs : 0;
  }

  /** Whether its client has taken something since this was asked last. */
  hasTaken(): boolean {
    const { pendingBytes } = this.#parts.sink;
    const taken = pendingBytes < this.#pendingBytes;
    this.#pendingBytes = pendingBytes;
    return taken;
  }

  send(event: Sendable): Promise<void> {
    return this.isOpen ? this.write(encodeSendEvent(event)) : this.#refuse();
  }

  comment(text: string): Promise<void> {
    return this.write(encodeBlock({ comment: text }));
  }

  retry(ms: number): Promise<void> {
    return this.write(encodeBlock({ retry: ms }));
  }

  pipe(source: Source): Promise<void> {
    return quiet(this.#pipe(source));
  }

  close({ reconnect = true, reason = "done" }: { readonly reconnect?: boolean; readonly reason?: string } = {}): void {
    if (this.#state !== "open") return;
    this.#end("ending");
    this.#parts.onEnding(this);
    this.#parts.sink.end(Buffer.from(reconnect ? closeBlock(undefined, reason, undefined) : farewellBlock(reason)));
    this.hasTaken();
  }

  /** Has a function called at the end, whoever ends it. */
  onEnd(cleanUp: () => void): void {
    if (this.isOpen) this.#cleanUp = cleanUp;
    else cleanUp();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#parts.sink.destroy();
  }

  write(block: string): Promise<void> {
    if (!this.isOpen) return this.#refuse();
    const bytes = Buffer.from(block);
    const { sink, maxUnsentBytes } = this.#parts;
    if (this.isFull && this.#unsentBytes + bytes.length > maxUnsentBytes) return this.#overflow();
    if (this.isFull) this.#unsentBytes += bytes.length;
    if (!sink.write(bytes) && !this.isFull) this.#fullSinceMs = Date.now();
    return this.isFull ? this.#drained() : pace();
  }

  /** Not thrown: whoever does not wait is seldom the handler, but, say, an emitter, whose other listeners it would stop. */
  #overflow(): Promise<void> {
    const error = new MillraceError(
      "stream_full",
      `${this.#unsentBytes} bytes wait for a slow client, and maxUnsentBytes is ${this.#parts.maxUnsentBytes}: await what send() returns`,
    );
    this.#end("ending", error);
    this.#parts.onEnding(this);
    this.destroy();
    this.#parts.onError(error);
    return this.#refuse();
  }

  /** One promise for all in a turn: a loop over a large batch makes no heap of them. @throws MillraceError see mostRefusals */
  #refuse(): Promise<void> {
    if (this.#refusedTurn !== turn()) {
      this.#refusedTurn = turn();
      this.#refused = 0;
      this.#refusal = undefined;
    }
    this.#refused++;
    const reason = this.#reason as MillraceError;
    if (this.#refused > mostRefusals) throw reason;
    if (this.#refused === quickRefusals) {
      this.#refusal = quiet(
        untilNextTurn().then(() => {
          throw reason;
        }),
      );
    }
    this.#refusal ??= quiet(Promise.reject(reason));
    return this.#refusal;
  }

  onDrain(): void {
    this.#fullSinceMs = 0;
    this.#unsentBytes = 0;
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  onClose(): void {
    if (this.#state === "closed") return;
    this.#end("closed");
    this.#closed?.resolve();
    this.#parts.onClosed(this);
  }

  /** Resolves when the client has read what it is behind. */
  #drained(): Promise<void> {
    this.#waiting ??= waiting();
    return this.#waiting.promise;
  }

  async #pipe(source: Source): Promise<void> {
    const iterator = iteratorOf(source);
    const { signal } = this;
    // Not Promise.race with one promise for all turns: each would stay with it until the end.
    let leave = () => {};
    const left = () => leave();
    signal.addEventListener("abort", left);
    let failed = false;
    try {
      if (this.isFull) await this.#drained();
      for (;;) {
        const next = await new Promise<IteratorResult<Sendable> | undefined>((resolve, reject) => {
          leave = () => resolve(undefined);
          if (signal.aborted) return leave();
          nextOf(iterator).then(resolve, (error) => {
            failed = true;
            reject(error);
          });
        });
        if (!next) throw this.#reason;
        if (next.done) return;
        await this.send(next.value);
      }
    } catch (error) {
      if (!failed) void end(iterator); // one that failed has ended itself
      throw error;
    } finally {
      signal.removeEventListener("abort", left);
    }
  }

  #end(state: "ending" | "closed", reason = streamClosed()): void {
    const first = this.isOpen;
    this.#state = state;
    if (!first) return;
    this.#reason = reason;
    this.#waiting?.reject(reason);
    this.#waiting = undefined;
    this.#abort?.abort(reason);
    this.#cleanUp?.();
    this.#cleanUp = undefined;
  }
}

const streamClosed = (): MillraceError =>
  new MillraceError("stream_closed", "the stream is over: stop writing, or watch its signal");

type AnyIterator = AsyncIterator<Sendable> | Iterator<Sendable>;

/** @throws MillraceError `invalid_event` */
function iteratorOf(source: Source): AnyIterator {
  if (!isSource(source)) {
    throw new MillraceError(
      "invalid_event",
      "pipe takes an iterable of events, such as what an async function* returns",
    );
  }
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}

/** A text is none, though it can be iterated: it would be sent letter by letter. */
export const isSource = (value: unknown): value is Source =>
  typeof value === "object" && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);

const nextOf = async (iterator: AnyIterator): Promise<IteratorResult<Sendable>> => iterator.next();

/** Not to be waited for: a generator hears of it when what it waits for has come, which may be never. */
async function end(iterator: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // nobody is left whom its failure to clean up would concern
  }
}

/**
 * Whether an error only says that the stream was over, as that of a timer or a request which was given its signal does; or
 * that it was cut, which has been told.
 */
export const isStreamOver = (error: unknown): boolean =>
  [error, error instanceof Error && error.cause].some(
    (one) => one instanceof MillraceError && (one.code === "stream_closed" || one.code === "stream_full"),
  );

function waiting(): Waiting {
  let resolve = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise: quiet(promise), resolve, reject };
}

/** Whoever does not wait for it must not bring the process down when the client leaves. */
function quiet(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
