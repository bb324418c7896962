import { MillraceError, maxTimerMs } from "../protocol/index.js";
import { ErrorEvent, messageOf } from "./error-event.js";
import { HandlerAttribute } from "./handler-attribute.js";
import { createReader, type EventReader } from "./read.js";
import { absoluteUrl, refusalOf, requestInit } from "./request.js";
import type {
  BodyLike,
  FetchLike,
  FetchLikeResponse,
  WebAbortSignal,
  WebEvent,
  WebMessageEvent,
  WebUrl,
} from "./web-types.js";

export interface EventSourceInit {
  /** Whether cookies go to other origins, too. Default false. */
  withCredentials?: boolean | undefined;
  /** What asks for the stream: for headers of your own, a proxy, or certificates. Default: the global `fetch`. */
  fetch?: FetchLike | undefined;
  /** Longest event, in characters; a longer one ends the stream for good. Default 16 Mi. */
  maxBlockLength?: number | undefined;
}

export interface EventSourceEventMap {
  error: ErrorEvent;
  message: WebMessageEvent;
  open: WebEvent;
}

type Listener = ((event: WebMessageEvent) => void) | ((event: WebEvent) => void);
type ListenerObject = { handleEvent(event: WebEvent): void };

interface ListenerOptions {
  capture?: boolean;
  once?: boolean;
  passive?: boolean;
  signal?: WebAbortSignal;
}

/** `EventTarget`, with the events of an EventSource. */
interface EventSourceTarget {
  addEventListener<Type extends keyof EventSourceEventMap>(
    type: Type,
    listener: (this: EventSource, event: EventSourceEventMap[Type]) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: (this: EventSource, event: WebMessageEvent) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  addEventListener(type: string, listener: Listener | ListenerObject, options?: boolean | ListenerOptions): void;
  removeEventListener<Type extends keyof EventSourceEventMap>(
    type: Type,
    listener: (this: EventSource, event: EventSourceEventMap[Type]) => unknown,
    options?: boolean | { capture?: boolean },
  ): void;
  removeEventListener(
    type: string,
    listener: (this: EventSource, event: WebMessageEvent) => unknown,
    options?: boolean | { capture?: boolean },
  ): void;
  removeEventListener(
    type: string,
    listener: Listener | ListenerObject,
    options?: boolean | { capture?: boolean },
  ): void;
  dispatchEvent(event: WebEvent): boolean;
}

// Where there is no such class, importing this must do no harm: only using it needs one.
const Base = (globalThis.EventTarget ?? class {}) as unknown as new () => EventSourceTarget;

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;
/** Until the server says another by `retry`. */
const defaultRetryMs = 3000;

/**
 * `EventSource` of the WHATWG HTML standard ("Server-sent events") on nothing but `fetch`, and with the extras of the npm
 * package `eventsource` 4: `fetch` may be given, and error events have a `code` and a `message`.
 *
 * ```
 * CONNECTING ── 200, text/event-stream ──→ OPEN ── the stream ends or breaks ──→ error, wait, CONNECTING
 * CONNECTING ── no connection ──→ error, wait, CONNECTING
 * CONNECTING ── any other answer ──→ CLOSED, error
 * any ── close() ──→ CLOSED
 * ```
 *
 * @throws DOMException `SyntaxError` when the URL is none, or a relative one where there is no page
 * @throws TypeError when there is no `fetch`
 * @throws MillraceError `invalid_option` when `maxBlockLength` is not above 0
 * @example
 * const prices = new EventSource("https://example.org/events?channel=prices");
 * prices.onmessage = (event) => console.log(event.data);
 */
export class EventSource extends Base {
  declare static readonly CONNECTING: 0;
  declare static readonly OPEN: 1;
  declare static readonly CLOSED: 2;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSED: 2;

  static {
    for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSED })) {
      for (const holder of [EventSource, EventSource.prototype]) {
        Object.defineProperty(holder, name, { value, enumerable: true });
      }
    }
    Object.defineProperty(EventSource.prototype, Symbol.toStringTag, { value: "EventSource", configurable: true });
    // By this, libraries learn that `fetch` may be given.
    Object.defineProperty(EventSource, Symbol.for("eventsource.supports-fetch-override"), { value: true });
  }

  readonly #url: string;
  readonly #withCredentials: boolean;
  readonly #fetch: FetchLike;
  readonly #reader: EventReader;
  readonly #onopen = new HandlerAttribute<(event: WebEvent) => unknown>(this, "open");
  readonly #onmessage = new HandlerAttribute<(event: WebMessageEvent) => unknown>(this, "message");
  readonly #onerror = new HandlerAttribute<(event: ErrorEvent) => unknown>(this, "error");
  #readyState = CONNECTING;
  #retryMs = defaultRetryMs;
  #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string | WebUrl, init: EventSourceInit = {}) {
    super();
    this.#url = resolve(String(url));
    const { withCredentials, maxBlockLength, ...given } = init ?? {}; // null, too, is none
    const fetch = given.fetch ?? (globalThis.fetch as FetchLike);
    if (typeof fetch !== "function") throw new TypeError("There is no global fetch: give one as { fetch }");
    this.#withCredentials = Boolean(withCredentials);
    this.#fetch = fetch;
    this.#reader = createReader(
      {
        onRetry: (retryMs) => {
          this.#retryMs = Math.min(retryMs, maxTimerMs);
        },
      },
      maxBlockLength === undefined ? {} : { maxBlockLength },
    );
    void this.#connect();
  }

  /** The address that was asked for, in full. A redirect does not change it. */
  get url(): string {
    return this.#url;
  }

  get withCredentials(): boolean {
    return this.#withCredentials;
  }

  /** `CONNECTING`, `OPEN` or `CLOSED`. */
  get readyState(): number {
    return this.#readyState;
  }

  get onopen(): ((event: WebEvent) => unknown) | null {
    return this.#onopen.get();
  }
  set onopen(handler: ((event: WebEvent) => unknown) | null) {
    this.#onopen.set(handler);
  }

  get onmessage(): ((event: WebMessageEvent) => unknown) | null {
    return this.#onmessage.get();
  }
  set onmessage(handler: ((event: WebMessageEvent) => unknown) | null) {
    this.#onmessage.set(handler);
  }

  get onerror(): ((event: ErrorEvent) => unknown) | null {
    return this.#onerror.get();
  }
  set onerror(handler: ((event: ErrorEvent) => unknown) | null) {
    this.#onerror.set(handler);
  }

  /** Ends the stream for good. No event comes after it, not even one that has been received. */
  close(): void {
    this.#readyState = CLOSED;
    clearTimeout(this.#timer);
    this.#controller.abort();
  }

  async #connect(): Promise<void> {
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    let message = "The stream has ended";
    try {
      const fetch = this.#fetch; // not as a method: a browser's fetch refuses another `this`
      const init = requestInit(this.#reader.lastEventId, this.#withCredentials, signal);
      // In a function of its own, what it throws is a rejection: no event may come before the constructor is done.
      const response = await (async () => fetch(new URL(this.#url), init))();
      if (this.#isClosed()) return discard(response);
      const refusal = refusalOf(response);
      if (refusal !== undefined) {
        discard(response);
        return this.#fail(refusal, response.status);
      }
      this.#readyState = OPEN;
      this.dispatchEvent(new Event("open"));
      if (this.#isClosed()) return discard(response);
      if (response.body !== null) await this.#read(response.body, response.url, signal);
    } catch (error) {
      if (error instanceof MillraceError) return this.#fail(error.message); // it would be so again
      message = messageOf(error);
    }
    this.#reconnect(message);
  }

  async #read(body: BodyLike, url: string, signal: AbortSignal): Promise<void> {
    const { origin } = new URL(url, this.#url); // a response that a program has made has the URL ""
    for await (const { type, data, lastEventId } of this.#reader.read(body, signal)) {
      if (this.#isClosed()) return;
      this.dispatchEvent(new MessageEvent(type, { data, origin, lastEventId }));
    }
  }

  #fail(message: string, code?: number): void {
    if (this.#isClosed()) return;
    this.close();
    this.dispatchEvent(new ErrorEvent("error", { code, message }));
  }

  #reconnect(message: string): void {
    if (this.#isClosed()) return;
    this.#readyState = CONNECTING;
    this.dispatchEvent(new ErrorEvent("error", { message }));
    if (!this.#isClosed()) this.#timer = setTimeout(() => void this.#connect(), this.#retryMs);
  }

  /** Asked anew after each handler: any of them may have closed. */
  #isClosed(): boolean {
    return this.#readyState === CLOSED;
  }
}

/** @throws DOMException `SyntaxError` */
function resolve(url: string): string {
  try {
    return absoluteUrl(url);
  } catch {
    throw new DOMException(`${JSON.stringify(url)} is no valid URL`, "SyntaxError");
  }
}

/** Lets go of a response that nobody reads: its connection would stay open. */
function discard({ body }: FetchLikeResponse): void {
  body
    ?.getReader?.()
    .cancel()
    .catch(() => {});
}
