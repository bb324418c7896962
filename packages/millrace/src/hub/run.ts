import { setTimeout as sleep } from "node:timers/promises";
import { type AddressedEvent, type AnyEvents, type CheckedEvent, MillraceError, onAbort } from "../protocol/index.js";
import { addressTo } from "./notify.js";

/** How a run has ended, as its clients are told in `millrace.end`. */
export type RunEnd = { readonly status: "done" } | { readonly status: "failed"; readonly error: string };

/** What the producer of a run is given. */
export interface RunWriter<E extends object = AnyEvents> {
  readonly channel: string;
  /** Fires when the run is over, when its `signal` does, and when the hub closes: then produce no more. */
  readonly signal: AbortSignal;
  /**
   * Publishes to the run's channel, and answers with the event's id.
   * @throws MillraceError as `publish`; `run_ended` after the end
   */
  send(event: AddressedEvent<E>): Promise<string>;
  /** Ends the run at once, as failed; its clients are told the message's first 1,000 characters. What is sent after it is refused. */
  fail(message: string): Promise<void>;
}

type Events<E extends object> = AsyncIterable<AddressedEvent<E>>;

/** What a producer returns: nothing, once it has sent all, or the events to send, such as those that an `async function*` yields. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function may well return nothing
export type Produced<E extends object = AnyEvents> = Events<E> | Promise<unknown> | void;

export interface RunParts {
  readonly channel: string;
  /** The application's, beside the run's own. */
  readonly signal: AbortSignal | undefined;
  readonly publish: (event: CheckedEvent) => Promise<string>;
  /** Writes down that the run has ended; answers with the sequence of its last event. */
  readonly recordEnd: (end: RunEnd) => Promise<number>;
  /** Fires when the hub closes: what cannot be written then never will be. */
  readonly closing: AbortSignal;
  /** The run is over. Without a sequence that could not be written down: the hub closes, and its heir will say so. */
  readonly onEnd: (sequence: number | undefined) => void;
  readonly onError: (error: unknown) => void;
}

/** How long to wait until the end of a run is written down again that could not be, in milliseconds. */
const retryMs = 1000;

/** How much clients are told of why a run failed. An end that is too large to be written down would never come. */
const maxMessageLength = 1000;

/**
 * One run: the only one who writes to its channel.
 *
 *   active ──(the producer ends, fails, or throws; the hub closes)──→ ending ──(that is in the log)──→ over
 */
export class Run implements RunWriter {
  readonly channel: string;
  readonly signal: AbortSignal;
  readonly done: Promise<RunEnd>;
  readonly #parts: RunParts;
  readonly #over = new AbortController();
  readonly #forget: (() => void) | undefined;
  #resolve: (end: RunEnd) => void = () => {};
  #ending: Promise<void> | undefined;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.channel = parts.channel;
    this.signal = this.#over.signal;
    const { signal } = parts;
    if (signal?.aborted) this.#over.abort(signal.reason);
    this.#forget = signal && onAbort(signal, () => this.#over.abort(signal.reason));
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Whether its end is being written down, or is. */
  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  /** It could not be written down that it has begun: so it has not. */
  abandon(): void {
    this.#forget?.();
  }

  async produce(work: (run: RunWriter) => Produced): Promise<void> {
    const run: RunWriter = {
      channel: this.channel,
      signal: this.signal,
      send: (event) => this.send(event),
      fail: (message) => this.fail(message),
    };
    let end: RunEnd = { status: "done" };
    try {
      const events = await work(run);
      if (isIterable(events)) await this.#sendAll(events);
    } catch (error) {
      end = failed(this.#tell(error));
    }
    await this.end(end);
  }

  /** Leaving the loop ends the generator; one that waits meanwhile is told by the run's signal only. */
  async #sendAll(events: AsyncIterable<AddressedEvent>): Promise<void> {
    for await (const event of events) {
      if (this.#ending) return;
      await this.send(event);
    }
  }

  send(event: AddressedEvent): Promise<string> {
    if (this.#ending) {
      const refused = Promise.reject(runEnded(this.channel));
      refused.catch(() => {}); // a producer that was told to stop may not look at what it sent last
      return refused;
    }
    const publish = async () => this.#parts.publish(addressTo(this.channel, event));
    return publish();
  }

  fail(message: string): Promise<void> {
    return this.end(failed(String(message)));
  }

  /** The first call counts. Resolves once it is in the log. */
  end(end: RunEnd): Promise<void> {
    this.#ending ??= this.#end(end);
    return this.#ending;
  }

  async #end(end: RunEnd): Promise<void> {
    const recorded = this.#record(end);
    this.#forget?.();
    this.#over.abort();
    const sequence = await recorded;
    this.#parts.onEnd(sequence);
    this.#resolve(end);
  }

  /** Its clients wait for the end: a disk that is full must not keep it from them for good. A log that is closed does. */
  async #record(end: RunEnd): Promise<number | undefined> {
    const { closing, recordEnd, onError } = this.#parts;
    for (let attempt = 0; ; attempt++) {
      const last = closing.aborted;
      try {
        return await recordEnd(end);
      } catch (error) {
        if (attempt === 0) onError(error);
        if (last || !isOfStore(error)) return undefined;
      }
      await sleep(retryMs, undefined, { ref: false, signal: closing }).catch(() => {});
    }
  }

  /** What clients are told of an error: nothing from inside the program. */
  #tell(error: unknown): string {
    const { signal } = this;
    const isStop = error === signal.reason || (error instanceof Error && error.name === "AbortError");
    if (signal.aborted && isStop) return "the run was stopped";
    const isLate = this.#ending !== undefined && error instanceof MillraceError && error.code === "run_ended";
    if (!isLate) this.#parts.onError(error);
    return error instanceof MillraceError && error.code !== "store_failed" && error.code !== "store_unsure"
      ? error.message
      : "the producer failed";
  }
}

const failed = (message: string): RunEnd => ({
  status: "failed",
  error: message.slice(0, maxMessageLength).toWellFormed(),
});

const isOfStore = (error: unknown): boolean =>
  error instanceof MillraceError && ["store_full", "store_failed", "store_unsure"].includes(error.code);

const isIterable = (value: unknown): value is AsyncIterable<AddressedEvent> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;

export const runEnded = (channel: string) =>
  new MillraceError("run_ended", `the run on channel ${JSON.stringify(channel)} has ended: choose another channel`);
