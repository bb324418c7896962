import { randomUUID } from "node:crypto";
import type { Entry, Log } from "../log/index.js";
import {
  assertChannel,
  type CheckedEvent,
  MillraceError,
  runsChannel,
  type Selection,
  selectionOf,
} from "../protocol/index.js";
import { chunkBytes, decodeEntry } from "./form.js";
import { idempotencyOf } from "./idempotency.js";
import { type Produced, Run, type RunEnd, type RunWriter, runEnded } from "./run.js";

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

interface Active {
  readonly run: Run;
  /** Where it is written down that it goes on; 0 while it is not. */
  record: number;
}

/** What is written down of runs, in `runsChannel`. */
interface RunRecord {
  readonly channel: string;
  readonly state: "active" | RunEnd["status"];
}

const records = selectionOf([runsChannel]);

/** How long to wait until the records are read again that could not be, in milliseconds. */
const retryMs = 1000;

/**
 * The channels that have one writer, a beginning and an end. Both are in the log: so that a client of any time finds the
 * end, and the next hub finds the runs whose producer has gone with the one before.
 *
 * A run's last event and its record are appended together, one behind the other: no crash comes between them.
 */
export class Runs {
  readonly #parts: RunsParts;
  readonly #active = new Map<string, Active>();
  /** Channels of runs that go on in other nodes of a shared log. */
  readonly #elsewhere = new Set<string>();
  /** What has come of records while those of before are read. */
  #learnt: Entry[] = [];
  /** In the order of their records. As many as the log retains of these. */
  readonly #ended = new Map<string, Ended>();
  readonly #closing = new AbortController();
  #dropsSeen = 0;
  #retry: NodeJS.Timeout | undefined;
  /** While it is not known what an earlier hub wrote down. Rejects with `store_failed` when that cannot be read for now. */
  loading: Promise<void> | undefined;

  constructor(parts: RunsParts) {
    this.#parts = parts;
  }

  /** Reads what an earlier hub on the log wrote down, and ends the runs that it left. Only for the log's one hub. */
  load(): void {
    const { log } = this.#parts;
    // Of a shared log others may write before its records are followed here: the first read waits for that.
    if ((log.tail === 0 && !log.shared) || this.#closing.signal.aborted) return;
    this.loading = this.#read().then(
      () => {
        this.loading = undefined;
        this.learn(this.#learnt);
        this.#learnt = [];
      },
      (cause) => {
        if (!this.#closing.signal.aborted) this.#parts.onError(cause);
        this.#retry = setTimeout(() => this.load(), retryMs).unref();
        // To go on without them would let anyone write to runs that have ended.
        throw new MillraceError("store_failed", "the records of runs cannot be read: nothing was done; try again", {
          cause,
        });
      },
    );
    this.loading.catch(() => {}); // told to those who wait for it, if any do
  }

  /** Records of a shared log may have been missed. */
  reload(): void {
    if (!this.loading) this.load();
  }

  /** @throws MillraceError `invalid_channel`, `run_active`, `run_ended`, `closed`, `store_full`, `store_failed` */
  async start(
    channel: string,
    produce: (run: RunWriter) => Produced,
    { signal }: RunOptions = {},
  ): Promise<StartedRun> {
    assertChannel(channel);
    if (channel.startsWith("@")) {
      throw new MillraceError(
        "invalid_channel",
        `a run has a channel of its own: ${JSON.stringify(channel)} is not one`,
      );
    }
    signal?.throwIfAborted();
    this.#checkOpen();
    if (this.loading) await this.loading;
    await this.#forget();
    this.#checkOpen();
    this.check(channel);
    const { log } = this.#parts;
    const active = this.#begin(channel, signal);
    const { run } = active;
    try {
      ({ first: active.record } = await log.append([recordOf({ channel, state: "active" })]));
    } catch (error) {
      this.#active.delete(channel);
      run.abandon();
      throw error;
    }
    void run.produce(produce);
    return { channel, position: log.position(active.record), done: run.done };
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted)
      throw new MillraceError("closed", "the hub is shutting down: nothing was started");
  }

  /** @throws MillraceError `run_active`, `run_ended`: nobody but its run writes to a channel */
  check(channel: string): void {
    if (this.#active.has(channel) || this.#elsewhere.has(channel)) {
      throw new MillraceError("run_active", `a run is active on channel ${JSON.stringify(channel)}: it has one writer`);
    }
    if (this.#ended.has(channel)) throw runEnded(channel);
  }

  /** What other nodes of a shared log have written down. */
  learn(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.channel !== runsChannel) continue;
      if (this.loading) {
        this.#learnt.push(entry);
        continue;
      }
      const { channel, state } = JSON.parse(decodeEntry(entry).data) as RunRecord;
      if (this.#active.has(channel)) continue;
      if (state === "active") {
        this.#elsewhere.add(channel);
        continue;
      }
      this.#elsewhere.delete(channel);
      this.#ended.set(channel, { end: entry.sequence - 1, record: entry.sequence });
      this.#parts.onEnd(channel);
    }
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
    clearTimeout(this.#retry);
    return this.loading || this.#active.size > 0 ? this.#endAll() : undefined;
  }

  async #endAll(): Promise<void> {
    if (this.loading) await this.loading.catch(() => {}); // the next hub ends what this one could not read of
    const end: RunEnd = { status: "failed", error: "the hub has closed" };
    await Promise.all(Array.from(this.#active.values(), ({ run }) => run.end(end)));
  }

  #begin(channel: string, signal?: AbortSignal): Active {
    const { log, publish, onEnd, onError } = this.#parts;
    const key = `end ${randomUUID()}`; // a store that does not know whether it took the end is asked again
    const run = new Run({
      ...{ channel, signal, publish, onError },
      closing: this.#closing.signal,
      recordEnd: async (end) => {
        const events = [endEvent(channel, end), recordOf({ channel, state: end.status })];
        const { first } = await log.append(events, { idempotency: idempotencyOf(key, events) });
        return first;
      },
      onEnd: (sequence) => {
        this.#active.delete(channel);
        if (sequence === undefined) return;
        this.#ended.set(channel, { end: sequence, record: sequence + 1 });
        onEnd(channel);
      },
    });
    const active = { run, record: 0 };
    this.#active.set(channel, active);
    return active;
  }

  async #read(): Promise<void> {
    const { log, onEnd } = this.#parts;
    const open = new Set<string>();
    let after = 0;
    do {
      const { entries, next } = await log.read({ selection: records, after, limitBytes: chunkBytes });
      for (const entry of entries) {
        const { channel, state } = JSON.parse(decodeEntry(entry).data) as RunRecord;
        this.#ended.delete(channel);
        open.delete(channel);
        if (state === "active") open.add(channel);
        else this.#ended.set(channel, { end: entry.sequence - 1, record: entry.sequence });
      }
      after = next;
    } while (after < log.tail);
    if (log.shared) {
      // Their producers may well be there: only who knows which nodes live could tell.
      for (const channel of open) if (!this.#active.has(channel)) this.#elsewhere.add(channel);
      for (const channel of this.#ended.keys()) this.#elsewhere.delete(channel);
      open.clear();
    }
    for (const channel of this.#ended.keys()) onEnd(channel);
    for (const channel of open) void this.#begin(channel).run.end({ status: "failed", error: "the producer has gone" });
  }

  /** Forgets the ended runs that the log has dropped the record of; those that go on are written down again. */
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
    // Not one that is ending: "active" behind its end would be ended once more by the next hub.
    const dropped = Array.from(this.#active).filter(
      ([, { run, record }]) => record > 0 && record < oldest && !run.isEnding,
    );
    if (dropped.length === 0) return;
    const { first } = await log.append(dropped.map(([channel]) => recordOf({ channel, state: "active" })));
    for (const [at, [, active]] of dropped.entries()) active.record = first + at;
  }
}

const plain = { json: true, key: undefined, retry: undefined };

const endEvent = (channel: string, end: RunEnd): CheckedEvent => ({
  ...{ ...plain, channel, event: "millrace.end", data: JSON.stringify(end) },
});

const recordOf = (record: RunRecord): CheckedEvent => ({
  ...{ ...plain, channel: runsChannel, event: undefined, data: JSON.stringify(record) },
});
