import { MillraceError, onAbort, type StreamEvent } from "../protocol/index.js";
import { ConnectionError } from "./connection-error.js";
import { messageOf } from "./error-event.js";
import type { EventReader } from "./read.js";
import { detailOf, retryAfterMs } from "./refusal.js";
import { refusalOf } from "./request.js";
import { Watchdog } from "./watchdog.js";
import type { BodyLike, FetchLikeResponse } from "./web-types.js";

/** How an attempt has ended. */
export interface Outcome {
  /** Why it failed, or was cut; undefined when its answer came to an end. */
  readonly error?: ConnectionError;
  /** Whether another attempt may help. */
  readonly again: boolean;
  /** What the server asks to wait at least, in milliseconds. */
  readonly waitMs?: number;
}

export interface AttemptParts {
  readonly ask: (signal: AbortSignal) => Promise<FetchLikeResponse>;
  readonly reader: EventReader;
  /** How long the answer may take, in milliseconds. */
  readonly openMs: number;
  /** How long its first byte may take, and then how long nothing may come, not even a comment. */
  readonly patience: (response: FetchLikeResponse) => { readonly firstByteMs: number; readonly silenceMs: number };
  readonly onOpen: (response: FetchLikeResponse) => void;
  readonly onBytes: () => void;
  /** The next event waits for it. */
  readonly onEvent: (event: StreamEvent) => Promise<void> | void;
}

/** One request for a stream, read to its end. */
export class Attempt {
  readonly #parts: AttemptParts;
  readonly #controller = new AbortController();
  readonly #watchdog = new Watchdog((error) => this.#controller.abort(error));

  constructor(parts: AttemptParts) {
    this.#parts = parts;
  }

  /** To be called when timers may have been late. */
  look(): void {
    this.#watchdog.look();
  }

  /** Resolves when it has ended, and so after the signal fires. Never rejects. */
  async run(signal: AbortSignal): Promise<Outcome> {
    const controller = this.#controller;
    if (signal.aborted) controller.abort();
    const forget = onAbort(signal, () => controller.abort());
    try {
      return await this.#run();
    } catch (error) {
      const { reason } = controller.signal;
      if (reason instanceof ConnectionError) return { error: reason, again: true };
      if (error instanceof MillraceError && error.code === "block_too_large") {
        return { error: new ConnectionError("block_too_large", error.message), again: false };
      }
      return { error: new ConnectionError("connection_lost", messageOf(error), { cause: error }), again: true };
    } finally {
      forget();
      this.#watchdog.stop();
      controller.abort();
    }
  }

  async #run(): Promise<Outcome> {
    const { ask, openMs, patience, reader, onOpen, onBytes, onEvent } = this.#parts;
    const { signal } = this.#controller;
    this.#watchdog.watch(openMs, () => silent("there was no answer", openMs));
    // A fetch of the user's own may ignore the signal.
    const response = await orAborted(ask(signal), signal);
    const refusal = refusalOf(response);
    if (refusal !== undefined) return await this.#refused(response, refusal);
    const { firstByteMs, silenceMs } = patience(response);
    this.#watchdog.watch(firstByteMs, () => silent("the answer began, and nothing of it came", firstByteMs));
    onOpen(response);
    if (response.body === null) return { again: true };
    let isFirst = true;
    const hear = () => {
      this.#watchdog.fed();
      onBytes();
      if (!isFirst) return;
      isFirst = false;
      this.#watchdog.watch(silenceMs, () => silent("nothing came, not even a heartbeat", silenceMs));
    };
    for await (const event of reader.read(heard(response.body, hear), signal)) {
      if (signal.aborted) break;
      await onEvent(event);
    }
    if (signal.aborted) throw signal.reason;
    return { again: true };
  }

  async #refused(response: FetchLikeResponse, refusal: string): Promise<Outcome> {
    const { status } = response;
    if (status === 204) return { again: false }; // the server has no more to say
    const detail = await detailOf(response);
    const error = new ConnectionError("refused", detail === undefined ? refusal : `${refusal}: ${detail}`, { status });
    const waitMs = retryAfterMs(response);
    const again = status >= 500 || [408, 425, 429].includes(status);
    return { error, again, ...(waitMs === undefined ? {} : { waitMs }) };
  }
}

const silent = (what: string, ms: number): ConnectionError =>
  new ConnectionError("timed_out", `${what} for ${Math.round(ms)} ms`);

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** The same body; `hear` is called with each of its chunks. */
function heard(body: BodyLike, hear: () => void): BodyLike {
  return {
    getReader: () => {
      const reader = body.getReader();
      return {
        read: async () => {
          const chunk = await reader.read();
          if (!chunk.done) hear();
          return chunk;
        },
        cancel: () => reader.cancel(),
      };
    },
  };
}
