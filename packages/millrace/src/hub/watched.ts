import {
  checkNumber,
  checkOptionKinds,
  covers,
  MillraceError,
  maxTimerMs,
  parseSelection,
  type Selection,
} from "../protocol/index.js";
import { ByChannel } from "./by-channel.js";

/** What a run is given. */
export interface Watch {
  /** The channel that is watched. */
  readonly channel: string;
  /** Fires when nobody has watched it for `lingerMs`, when the run has failed, and when all is over: then produce no more. */
  readonly signal: AbortSignal;
}

export interface WatchOptions {
  /** How long a run outlasts the last watcher, in milliseconds, for one that comes back. Default 5,000; 0: not at all. */
  readonly lingerMs?: number;
  /**
   * How many runs there are at a time: clients say which channels they watch. What is watched beyond waits until one
   * has ended, and `onError` is told. Default 1,000.
   */
  readonly most?: number;
}

export interface WatchedParts {
  /** Whether a selection names the channel; `byPrefix`: or holds it by a prefix. */
  readonly isWatched: (channel: string, byPrefix: boolean) => boolean;
  /** The channels that selections name. */
  readonly named: () => Iterable<string>;
  readonly onError: (error: unknown) => void;
}

type Run = (watch: Watch) => void | Promise<void>;

/**
 * Runs what produces for a channel while the channel is watched. It is told when a selection comes or goes, which is
 * when the first of its readers comes or the last one goes; so neither a publish nor a further reader costs anything.
 */
export class Watched {
  readonly #parts: WatchedParts;
  readonly #producers = new Set<Producer>();
  readonly #byChannel = new ByChannel<Producer>();
  /** Channels to look at, at the end of this task: until then a connection is half open, or between two selections. */
  #due = new Map<Producer, Set<string>>();
  #closed = false;

  constructor(parts: WatchedParts) {
    this.#parts = parts;
  }

  /** @throws MillraceError `invalid_channel`, `invalid_option` */
  add(pattern: string, run: Run, options: WatchOptions = {}): () => void {
    const selection = parseSelection([pattern]);
    checkOptionKinds("whileWatched", options, { lingerMs: ["number"], most: ["number"] });
    const { lingerMs = 5000, most = 1000 } = options;
    checkNumber("lingerMs", lingerMs, 0, maxTimerMs);
    checkNumber("most", most, 1, Infinity);
    if (this.#closed) return () => {};
    const { isWatched, named, onError } = this.#parts;
    const [prefix] = selection.prefixes;
    const producer = new Producer({
      ...{ pattern, run, lingerMs, most, onError },
      isWatched: (channel) => isWatched(channel, prefix === undefined),
    });
    this.#producers.add(producer);
    this.#byChannel.add(selection, producer);
    for (const channel of prefix === undefined ? [pattern] : named()) {
      if (prefix === undefined || covers(prefix, channel)) this.#look(producer, channel);
    }
    return () => {
      if (!this.#producers.delete(producer)) return;
      this.#byChannel.delete(selection, producer);
      producer.end();
    };
  }

  /** A selection is read now, or is no longer. */
  changed({ exact, prefixes }: Selection): void {
    if (this.#producers.size === 0) return;
    const look = (channel: string) => this.#byChannel.holding(channel, (producer) => this.#look(producer, channel));
    for (const channel of exact) look(channel);
    if (prefixes.length === 0) return;
    for (const channel of this.#byChannel.named())
      if (prefixes.some((prefix) => covers(prefix, channel))) look(channel);
  }

  /** Ends all runs, and starts no more. */
  close(): void {
    this.#closed = true;
    for (const producer of this.#producers) producer.end();
    this.#producers.clear();
  }

  #look(producer: Producer, channel: string): void {
    if (this.#due.size === 0) queueMicrotask(() => this.#lookAtAll());
    const channels = this.#due.get(producer);
    if (channels) channels.add(channel);
    else this.#due.set(producer, new Set([channel]));
  }

  #lookAtAll(): void {
    const due = this.#due;
    this.#due = new Map();
    for (const [producer, channels] of due) for (const channel of channels) producer.look(channel);
  }
}

interface ProducerParts {
  readonly pattern: string;
  readonly run: Run;
  readonly lingerMs: number;
  readonly most: number;
  readonly isWatched: (channel: string) => boolean;
  readonly onError: (error: unknown) => void;
}

/**
 * The run of one channel.
 *
 *   producing ──(nobody watches)──→ lingering ──(lingerMs)──→ stopped ──(it has ended)──→ gone
 *    ↑  │ ↑───(somebody watches)───────┘ │
 *    │  └──────────(it throws)───────────┴──→ failed ──(nobody watches)──→ gone
 *    └──(another is gone, or has failed)── waiting: there are `most`
 *
 * One that has merely returned goes on producing, by what it has set up, until its signal. Only one that is gone is
 * followed by another: two at a time would publish everything twice.
 */
interface Running {
  readonly controller: AbortController;
  linger: NodeJS.Timeout | undefined;
  ended: boolean;
}

/** One call of `whileWatched`, with a run for each channel. */
class Producer {
  readonly #parts: ProducerParts;
  readonly #runs = new Map<string, Running>();
  readonly #failed = new Set<string>();
  readonly #waiting = new Set<string>();
  #over = false;

  constructor(parts: ProducerParts) {
    this.#parts = parts;
  }

  look(channel: string): void {
    const { lingerMs, isWatched } = this.#parts;
    const run = this.#runs.get(channel);
    if (isWatched(channel)) {
      if (run) clearTimeout(run.linger);
      if (run) run.linger = undefined;
      else if (!this.#over && !this.#failed.has(channel)) this.#begin(channel);
      return;
    }
    this.#failed.delete(channel);
    this.#waiting.delete(channel);
    if (run && !run.linger && !run.controller.signal.aborted) {
      if (lingerMs === 0) this.#stop(channel, run);
      else run.linger = setTimeout(() => this.#stop(channel, run), lingerMs).unref();
    }
  }

  end(): void {
    this.#over = true;
    for (const [channel, run] of this.#runs) this.#stop(channel, run);
  }

  #begin(channel: string): void {
    if (this.#runs.size < this.#parts.most) this.#start(channel);
    else this.#wait(channel);
  }

  #start(channel: string): void {
    const run: Running = { controller: new AbortController(), linger: undefined, ended: false };
    this.#runs.set(channel, run);
    this.#produce({ channel, signal: run.controller.signal })
      .catch((error) => this.#fail(channel, run, error))
      .finally(() => {
        run.ended = true;
        if (!run.controller.signal.aborted) return;
        this.#forget(channel);
        this.look(channel);
      });
  }

  async #produce(watch: Watch): Promise<void> {
    const result: unknown = await this.#parts.run(watch);
    if (typeof result !== "object" || result === null || !("next" in result)) return;
    throw new TypeError(
      `whileWatched(${JSON.stringify(this.#parts.pattern)}) was given a generator, of which nothing runs: await hub.publish(…) instead of yield`,
    );
  }

  #wait(channel: string): void {
    const { pattern, most, onError } = this.#parts;
    this.#waiting.add(channel);
    if (this.#waiting.size > 1) return;
    const text = `whileWatched(${JSON.stringify(pattern)}) has ${most} runs, and more is watched: it waits. Raise most, or let clients name fewer channels`;
    onError(new MillraceError("invalid_option", text));
  }

  #forget(channel: string): void {
    this.#runs.delete(channel);
    for (const next of this.#waiting) {
      if (this.#runs.size >= this.#parts.most) return;
      this.#waiting.delete(next);
      this.look(next);
    }
  }

  #stop(channel: string, run: Running): void {
    clearTimeout(run.linger);
    run.linger = undefined;
    run.controller.abort();
    if (run.ended) this.#forget(channel);
  }

  #fail(channel: string, run: Running, error: unknown): void {
    const { signal } = run.controller;
    // What was waiting for something when it was told to stop says so in this way.
    if (signal.aborted && error instanceof Error && error.name === "AbortError") return;
    if (!signal.aborted) {
      this.#failed.add(channel);
      clearTimeout(run.linger);
      run.controller.abort();
    }
    this.#parts.onError(error);
  }
}
