import { checkNumber, checkOptionKinds, maxTimerMs, onAbort } from "../protocol/index.js";
import { checkHandler } from "./connect-options.js";
import { ConnectionError } from "./connection-error.js";
import { checkParse } from "./decode.js";
import { messageOf } from "./error-event.js";
import { createHandlers } from "./handlers.js";
import type { WebUrl } from "./web-types.js";

interface PollingFetchInit {
  readonly headers: Readonly<Record<string, string>>;
  // biome-ignore lint/suspicious/noExplicitAny: the signals of polyfills have types of their own
  readonly signal: any;
}

type PollingFetch = (
  url: string | WebUrl,
  init: PollingFetchInit,
) => Promise<{ readonly ok: boolean; readonly status: number; text(): Promise<string> }>;

export interface PollingOptions {
  /** From one answer to the next request, in milliseconds. Default 5,000. */
  readonly intervalMs?: number | undefined;
  /** How long an answer may take, to its end, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** What becomes of an answer. Default `json`. */
  readonly parse?: "json" | "text" | ((text: string) => unknown) | undefined;
  /** Default: the global `fetch`. */
  readonly fetch?: PollingFetch | undefined;
}

export interface PollingEvents {
  /** An answer. `changed`: it is not the one before. */
  data: { readonly type: "data"; readonly data: unknown; readonly text: string; readonly changed: boolean };
  /** A request has failed. The next one is made all the same. */
  error: { readonly type: "error"; readonly error: Error };
}

export interface PollingStats {
  readonly requests: number;
  readonly failures: number;
  /** Answers that said what the one before had said: requests for nothing. */
  readonly unchanged: number;
}

/**
 * Asks an address again and again, and nothing else: for servers without streams, and to compare the two. Behind a proxy
 * that holds streams back, `connect` polls a hub by itself, and better: a hub answers when there is something to say.
 *
 *     const prices = new PollingClient("https://example.org/prices.json", { intervalMs: 3000 });
 *     prices.on("data", ({ data, changed }) => changed && show(data));
 *     prices.start();
 *
 * @throws MillraceError `invalid_option`
 */
export class PollingClient {
  readonly #url: string;
  readonly #options: PollingOptions;
  readonly #handlers = createHandlers();
  readonly #stats = { requests: 0, failures: 0, unchanged: 0 };
  #last: string | undefined;
  #running: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string | WebUrl, options: PollingOptions = {}) {
    const kinds = {
      intervalMs: ["number"],
      timeoutMs: ["number"],
      headers: ["object"],
      parse: ["string", "function"],
      fetch: ["function"],
    } as const;
    checkOptionKinds("PollingClient", options, kinds);
    checkNumber("intervalMs", options.intervalMs, 1, maxTimerMs);
    checkNumber("timeoutMs", options.timeoutMs, 1, maxTimerMs);
    checkParse(options.parse);
    this.#url = String(url);
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  get stats(): PollingStats {
    return { ...this.#stats };
  }

  /** Answers with a function that takes the handler away. @throws MillraceError `invalid_option` */
  on<N extends keyof PollingEvents>(type: N, handler: (event: PollingEvents[N]) => unknown): () => void {
    checkHandler(type, handler);
    return this.#handlers.add(type, handler as (event: never) => unknown);
  }

  /** Asks at once, and then in intervals. Once it runs it has no effect. */
  start(): void {
    if (this.#running) return;
    this.#running = new AbortController();
    void this.#poll(this.#running.signal);
  }

  /** No request, and no event, comes after it. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = undefined;
  }

  async #poll(signal: AbortSignal): Promise<void> {
    this.#stats.requests++;
    const told = await this.#ask(signal);
    if (signal.aborted) return;
    this.#handlers.call(told.type, told);
    if (signal.aborted) return;
    this.#timer = setTimeout(() => void this.#poll(signal), this.#options.intervalMs ?? 5000);
  }

  async #ask(signal: AbortSignal): Promise<PollingEvents["data" | "error"]> {
    const { headers = {}, timeoutMs = 30_000, parse = "json" } = this.#options;
    const { fetch = globalThis.fetch as unknown as PollingFetch } = this.#options;
    const request = new AbortController();
    const forget = onAbort(signal, () => request.abort());
    const timer = setTimeout(() => {
      request.abort(new ConnectionError("timed_out", `there was no whole answer for ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      const response = await fetch(this.#url, { headers, signal: request.signal });
      const { ok, status } = response;
      const text = await response.text();
      if (!ok) throw new ConnectionError("refused", `the server has answered ${status}`, { status });
      const data = parse === "text" ? text : parse === "json" ? JSON.parse(text) : parse(text);
      const changed = text !== this.#last;
      this.#last = text;
      if (!changed) this.#stats.unchanged++;
      return { type: "data", data, text, changed };
    } catch (cause) {
      this.#stats.failures++;
      const isOurs = cause instanceof ConnectionError;
      return {
        type: "error",
        error: isOurs ? cause : new ConnectionError("connection_lost", messageOf(cause), { cause }),
      };
    } finally {
      clearTimeout(timer);
      forget();
    }
  }
}
