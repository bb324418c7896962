import { covers, MillraceError, maxTimerMs, parseSelection, type Selection } from "../protocol/index.js";
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
}

export interface WatchedParts {
  /** Whether a selection names the channel; `byPrefix`: or holds it by a prefix. */
  readonly isWatched: (channel: string, byPrefix: boolean) => boolean;
  /** The channels that selections name. */
  readonly named: () => Iterable<string>;
  readonly onError: (error: unknown) => void;
}

type Run = (watch: Watch) => unknown;

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
  add(pattern: string, run: Run, { lingerMs = 5000 }: WatchOptions = {}): () => void {
    const selection = parseSelection([pattern]);
    if (!(typeof lingerMs === "number" && lingerMs >= 0 && lingerMs <= maxTimerMs)) {
      throw new MillraceError("invalid_option", `lingerMs is ${lingerMs}: it is a number from 0 to ${maxTimerMs}`);
    }
    if (this.#closed) return () => {};
    const { isWatched, named, onError } = this.#parts;
    const [prefix] = selection.prefixes;
    const producer = new Producer({
      ...{ run, lingerMs, onError },
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
  readonly run: Run;
  readonly lingerMs: number;
  readonly isWatched: (channel: string) => boolean;
  readonly onError: (error: unknown) => void;
}

/**
 * The run of one channel.
 *
 *   producing ──(nobody watches)──→ lingering ──(lingerMs)──→ stopped ──(it has ended)──→ gone
 *       │ ↑───(somebody watches)───────┘ │
 *       └──────────(it throws)───────────┴──→ failed ──(nobody watches)──→ gone
 *
 * One that has merely returned goes on producing, by what it has set up, until its signal. Only one that is gone is
 * followed by another: two at a time would publish everything twice.
 */
interface Running {
  readonly controller: AbortController;
  linger: NodeJS.Timeout | undefined;
  failed: boolean;
  ended: boolean;
}

/** One call of `whileWatched`, with a run for each channel. */
class Producer {
  readonly #parts: ProducerParts;
  readonly #runs = new Map<string, Running>();
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
      else if (!this.#over) this.#start(channel);
    } else if (run?.failed) this.#runs.delete(channel);
    else if (run && !run.linger && !run.controller.signal.aborted) {
      if (lingerMs === 0) this.#stop(channel, run);
      else run.linger = setTimeout(() => this.#stop(channel, run), lingerMs).unref();
    }
  }

  end(): void {
    this.#over = true;
    for (const [channel, run] of this.#runs) this.#stop(channel, run);
  }

  #start(channel: string): void {
    const run: Running = { controller: new AbortController(), linger: undefined, failed: false, ended: false };
    this.#runs.set(channel, run);
    const produce = async () => this.#parts.run({ channel, signal: run.controller.signal });
    produce()
      .catch((error) => this.#fail(run, error))
      .finally(() => {
        run.ended = true;
        if (!run.failed && !run.controller.signal.aborted) return;
        if (!run.failed) this.#runs.delete(channel);
        this.look(channel);
      });
  }

  #stop(channel: string, run: Running): void {
    clearTimeout(run.linger);
    run.linger = undefined;
    run.controller.abort();
    if (run.ended) this.#runs.delete(channel);
  }

  #fail(run: Running, error: unknown): void {
    const { signal } = run.controller;
    // What was waiting for something when it was told to stop says so in this way.
    if (signal.aborted && error instanceof Error && error.name === "AbortError") return;
    if (!signal.aborted) {
      run.failed = true;
      clearTimeout(run.linger);
      run.controller.abort();
    }
    this.#parts.onError(error);
  }
}
