import type { Log } from "../log/index.js";
import { assertChannel, type CheckedEvent, MillraceError, type Selection, selectionOf } from "../protocol/index.js";
import { chunkBytes, decodeEntry } from "./form.js";
import { Run, type RunEnd, type RunWriter, runEnded } from "./run.js";

/** A run that has begun. */
export interface StartedRun {
  readonly channel: string;
  /** Everything of the run follows this position. */
  readonly position: string;
  /** How it has ended, once that is in the log. Never rejects. */
  readonly done: Promise<RunEnd>;
}

export interface RunOptions {
  /** Asks the producer to stop: `run.signal` fires. The run ends when the producer does. */
  readonly signal?: AbortSignal;
}

export interface RunsParts {
  readonly log: Log;
  /** Publishes what a run sends. */
  readonly publish: (event: CheckedEvent) => Promise<string>;
  /** A channel has ended: `endOf` knows where. */
  readonly onEnd: (channel: string) => void;
  readonly onError: (error: unknown) => void;
}

/** Where a run has ended, and where that is written down. */
interface Ended {
  readonly end: number;
  readonly record: number;
}

/** What is written down of runs, in an internal channel that nobody can select or publish to. */
interface RunRecord {
  readonly channel: string;
  readonly state: "active" | RunEnd["status"];
}

const recordsChannel = "@runs";
const records = selectionOf([recordsChannel]);

/**
 * The channels that have one writer, a beginning and an end. Both are in the log: so that a client of any time finds the
 * end, and the next hub finds the runs whose producer has gone with the one before.
 *
 * A run's last event and its record are appended together, one behind the other: no crash comes between them.
 */
export class Runs {
  readonly #parts: RunsParts;
  readonly #active = new Map<string, Run>();
  /** In the order of their records. As many as the log retains of these. */
  readonly #ended = new Map<string, Ended>();
  readonly #closing = new AbortController();
  #dropsSeen = 0;
  /** While it is read what an earlier hub wrote down. */
  loading: Promise<void> | undefined;

  constructor(parts: RunsParts) {
    this.#parts = parts;
    if (parts.log.tail === 0) return;
    this.loading = this.#load()
      .catch((error) => {
        if (!this.#closing.signal.aborted) parts.onError(error);
      })
      .finally(() => {
        this.loading = undefined;
      });
  }

  /** @throws MillraceError `invalid_channel`, `run_active`, `run_ended`, `closed`, `store_full`, `store_failed` */
  async start(channel: string, produce: (run: RunWriter) => unknown, { signal }: RunOptions = {}): Promise<StartedRun> {
    assertChannel(channel);
    if (channel.startsWith("@")) {
      throw new MillraceError(
        "invalid_channel",
        `a run has a channel of its own: ${JSON.stringify(channel)} is not one`,
      );
    }
    signal?.throwIfAborted();
    if (this.loading) await this.loading;
    await this.#forget();
    if (this.#closing.signal.aborted)
      throw new MillraceError("closed", "the hub is shutting down: nothing was started");
    this.check(channel);
    const { log } = this.#parts;
    const run = this.#begin(channel, signal);
    let sequence: number;
    try {
      ({ first: sequence } = await log.append([recordOf({ channel, state: "active" })]));
    } catch (error) {
      this.#active.delete(channel);
      throw error;
    }
    void run.produce(produce);
    return { channel, position: log.position(sequence), done: run.done };
  }

  /** @throws MillraceError `run_active`, `run_ended`: nobody but its run writes to a channel */
  check(channel: string): void {
    if (this.#active.has(channel)) {
      throw new MillraceError("run_active", `a run is active on channel ${JSON.stringify(channel)}: it has one writer`);
    }
    if (this.#ended.has(channel)) throw runEnded(channel);
  }

  /** The sequence behind which nothing will ever come of a selection; Infinity while something may. */
  endOf({ exact, prefixes }: Selection): number {
    if (prefixes.length > 0) return Infinity;
    let end = -1;
    for (const channel of exact) {
      if (channel.startsWith("@")) continue;
      end = Math.max(end, this.#ended.get(channel)?.end ?? Infinity);
      if (end === Infinity) break;
    }
    return end < 0 ? Infinity : end;
  }

  /** Ends all runs, as failed. Undefined when there is none. */
  close(): Promise<void> | undefined {
    this.#closing.abort();
    return this.loading || this.#active.size > 0 ? this.#endAll() : undefined;
  }

  async #endAll(): Promise<void> {
    if (this.loading) await this.loading;
    const end: RunEnd = { status: "failed", error: "the hub has closed" };
    await Promise.all(Array.from(this.#active.values(), (run) => run.end(end)));
  }

  #begin(channel: string, signal?: AbortSignal): Run {
    const { log, publish, onEnd, onError } = this.#parts;
    const run = new Run({
      ...{ channel, signal, publish, onError },
      closing: this.#closing.signal,
      recordEnd: async (end) => {
        const { first } = await log.append([endEvent(channel, end), recordOf({ channel, state: end.status })]);
        return first;
      },
      onEnd: (sequence) => {
        this.#active.delete(channel);
        if (sequence === undefined) return;
        this.#ended.set(channel, { end: sequence, record: sequence + 1 });
        onEnd(channel);
      },
    });
    this.#active.set(channel, run);
    return run;
  }

  async #load(): Promise<void> {
    const { log, onEnd } = this.#parts;
    const open = new Set<string>();
    const { tail } = log;
    for (let after = 0; after < tail; ) {
      const { entries, next } = await log.read({ selection: records, after, limitBytes: chunkBytes });
      for (const entry of entries) {
        const { channel, state } = JSON.parse(decodeEntry(entry).data) as RunRecord;
        this.#ended.delete(channel);
        open.delete(channel);
        if (state === "active") open.add(channel);
        else this.#ended.set(channel, { end: entry.sequence - 1, record: entry.sequence });
      }
      after = next;
    }
    for (const channel of this.#ended.keys()) onEnd(channel);
    for (const channel of open) void this.#begin(channel).end({ status: "failed", error: "the producer has gone" });
  }

  /** Forgets what the log has dropped the record of. */
  async #forget(): Promise<void> {
    const { log } = this.#parts;
    const { drops } = log;
    if (drops === this.#dropsSeen) return;
    const { entries, next } = await log.read({ selection: records, after: 0, limitBytes: 1 });
    this.#dropsSeen = drops;
    const oldest = entries[0]?.sequence ?? next + 1;
    for (const [channel, { record }] of this.#ended) {
      if (record >= oldest) break;
      this.#ended.delete(channel);
    }
  }
}

const plain = { json: true, key: undefined, retry: undefined };

const endEvent = (channel: string, end: RunEnd): CheckedEvent => ({
  ...{ ...plain, channel, event: "millrace.end", data: JSON.stringify(end) },
});

const recordOf = (record: RunRecord): CheckedEvent => ({
  ...{ ...plain, channel: recordsChannel, event: undefined, data: JSON.stringify(record) },
});
