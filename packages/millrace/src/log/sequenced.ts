import { type CheckedEvent, MillraceError, type Selection } from "../protocol/index.js";
import type { Channels } from "./channels.js";
import { type Entry, Scratch, type WrittenEntry, writeRecord } from "./entry.js";
import type { Epochs } from "./epochs.js";
import type { KeyRecord, Keys } from "./keys.js";
import type { Appended, AppendOptions, Located, Log, LogStats, MaybePromise, ReadRequest, Slice } from "./log.js";
import type { Ref } from "./merge.js";
import { sizeOf } from "./size.js";
import { TailCache } from "./tail.js";
import { UnreadKeys } from "./unread.js";

/** What is appended together: written at once, durable at once, shown at once. */
export interface Batch {
  readonly entries: readonly Entry[];
  /** The entries' records, one behind the other. */
  readonly records: Buffer;
  readonly keys: readonly KeyRecord[];
  readonly first: number;
  readonly timeMs: number;
}

/** Where a log of one writer keeps its records: what differs between the memory and the disk driver. */
export interface Storage {
  /** The epochs so far; the last is the one that the next entries belong to. */
  readonly epochs: Epochs;
  readonly storedBytes: number;
  /** False when it could not be written as it was opened. */
  readonly writable: boolean;
  /** Throws when nothing can be written at present. */
  prepare(): void;
  /** Finds out whether it can be written again, with a write that changes nothing. Throws while it cannot. */
  probe(): void;
  /** Makes a batch as durable as promised and answers the place of its first record. Throws and leaves nothing behind. */
  write(batch: Batch): MaybePromise<number>;
  read(refs: readonly Ref[]): MaybePromise<Entry[]>;
  sweep(nowMs: number): void;
  close(): MaybePromise<void>;
}

interface Job {
  readonly events: readonly CheckedEvent[];
  /** About what they take, in characters. */
  readonly size: number;
  readonly idempotency: AppendOptions["idempotency"];
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

export interface SequencedLogParts {
  readonly storage: Storage;
  readonly channels: Channels;
  readonly keys: Keys;
  readonly tail: number;
  /** Memory for the newest entries, in bytes. */
  readonly cacheBytes: number;
}

/** So a file stays below the bound of a place in it (see ring.ts), even when each character costs seven bytes. */
const maxAppendMebi = 64;
const maxBatchLength = 4 * 1024 * 1024;
const sweepIntervalMs = 1000;

/**
 * The log of one writer, over any storage. Appends of one turn of the event loop become one batch: one write, and with
 * fsync one fsync, for all of them. While a batch is on its way the next one gathers.
 *
 *   append → pending ──(end of the turn)→ storage.write → index and cache → listeners → answers
 */
export class SequencedLog implements Log {
  readonly #storage: Storage;
  readonly #channels: Channels;
  readonly #keys: Keys;
  readonly #cache: TailCache;
  readonly #unread: UnreadKeys;
  readonly #scratch = new Scratch();
  readonly #sweeper: NodeJS.Timeout;
  #pending: Job[] = [];
  #writing = false;
  #scheduled = false;
  #writable: boolean;
  #closed: Promise<void> | undefined;
  #readable = true;
  #idle: (() => void) | undefined;
  #listener: ((entries: readonly Entry[]) => void) | undefined;
  tail: number;

  constructor({ storage, channels, keys, tail, cacheBytes }: SequencedLogParts) {
    this.#storage = storage;
    this.#channels = channels;
    this.#keys = keys;
    this.#cache = new TailCache(cacheBytes);
    this.#unread = new UnreadKeys(channels, (refs) => storage.read(refs));
    this.tail = tail;
    this.#writable = storage.writable;
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(sweepIntervalMs, channels.leastAgeMs / 4));
    this.#sweeper.unref();
  }

  get drops(): number {
    return this.#channels.drops;
  }

  append(events: readonly CheckedEvent[], { idempotency }: AppendOptions = {}): Promise<Appended> {
    let size: number;
    try {
      if (this.#closed) throw new MillraceError("closed", "the log is closed");
      size = sizeOf(events, maxAppendMebi);
      const known = idempotency && this.#keys.find(idempotency.key, idempotency.digest, Date.now());
      if (known) return Promise.resolve(known).then((appended) => ({ ...appended, repeated: true }));
      if (events.length === 0) return Promise.resolve({ first: this.tail + 1, count: 0 });
    } catch (error) {
      return Promise.reject(error);
    }
    const appended = new Promise<Appended>((resolve, reject) => {
      this.#pending.push({ events, size, idempotency, resolve, reject });
    });
    if (idempotency) this.#keys.begin(idempotency.key, idempotency.digest, Date.now(), appended);
    this.#schedule();
    return appended;
  }

  read(request: ReadRequest): MaybePromise<Slice> {
    const { selection, after, limitBytes, knownDrops = -1, conflate = false } = request;
    if (!this.#readable) throw new MillraceError("closed", "the log is closed");
    const learnt = conflate ? this.#unread.learn(selection, after) : undefined;
    if (learnt) return learnt.then(() => this.read(request));
    const gap = this.#channels.gap(selection, after, knownDrops, conflate);
    const tail = this.tail;
    if (after >= tail) return { entries: [], next: tail, gap };
    // Near the tail it costs less to look at each entry than to ask each channel.
    if (this.#cache.first <= after + 1 && tail - after <= 64 + 4 * this.#channels.width(selection)) {
      return { ...this.#scan(selection, after, limitBytes, conflate), gap };
    }
    const { refs, done } = this.#channels.select(selection, after, limitBytes, conflate);
    const next = done ? tail : (refs.at(-1) as Ref).sequence;
    const missing = refs.filter(({ sequence }) => sequence < this.#cache.first);
    const cached = refs.slice(missing.length).map(({ sequence }) => this.#cache.get(sequence) as Entry);
    if (missing.length === 0) return { entries: cached, next, gap };
    const read = this.#storage.read(missing);
    return read instanceof Promise
      ? read.then((entries) => ({ entries: entries.concat(cached), next, gap }))
      : { entries: read.concat(cached), next, gap };
  }

  isQuiet(channels: readonly string[], after: number): boolean {
    return channels.every((name) => this.#channels.newestOf(name) <= after);
  }

  locate(position: string): Located {
    return this.#storage.epochs.locate(position, this.tail);
  }

  position(sequence: number): string {
    return this.#storage.epochs.position(sequence);
  }

  rewind(selection: Selection, count: number): number {
    return this.#channels.rewind(selection, count, this.tail);
  }

  onCommit(listener: (entries: readonly Entry[]) => void): void {
    if (this.#listener) throw new MillraceError("invalid_option", "this log has a hub already: give each hub its own");
    this.#listener = listener;
  }

  stats(): LogStats {
    const { size, entries, bytes } = this.#channels;
    return { channels: size, entries, bytes, storedBytes: this.#storage.storedBytes, writable: this.#writable };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#sweeper);
    if (this.#scheduled || this.#writing || this.#pending.length > 0)
      await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#readable = false;
    await this.#storage.close();
  }

  #schedule(): void {
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#commit();
    });
  }

  /** Writes one batch; what is pending beyond it waits for the next turn. */
  #commit(): void {
    let jobs = this.#takeJobs();
    try {
      if (jobs.length > 0) this.#storage.prepare();
      const batch = this.#encode(jobs);
      jobs = batch.jobs;
      if (jobs.length > 0) {
        const written = this.#storage.write(batch);
        if (typeof written !== "number") {
          this.#writing = true;
          void this.#finish(jobs, batch, written);
          return;
        }
        this.#accept(jobs, batch, written);
      }
    } catch (error) {
      this.#refuse(jobs, error);
    }
    this.#next();
  }

  async #finish(jobs: readonly Job[], batch: Batch, written: Promise<number>): Promise<void> {
    try {
      this.#accept(jobs, batch, await written);
    } catch (error) {
      this.#refuse(jobs, error);
    }
    this.#writing = false;
    this.#next();
  }

  #next(): void {
    if (this.#pending.length > 0) this.#schedule();
    else this.#idle?.();
  }

  /** Some of what is pending: a batch has a bound, so that one turn has. */
  #takeJobs(): Job[] {
    let length = 0;
    let count = 0;
    for (const { size } of this.#pending) {
      length += size;
      if (length > maxBatchLength && count > 0) break;
      count++;
    }
    return this.#pending.splice(0, count);
  }

  /** The batch of some jobs; one with an event that cannot be encoded is refused here, and left out. */
  #encode(jobs: readonly Job[]): Batch & { jobs: Job[] } {
    const timeMs = Date.now();
    const epoch = this.#storage.epochs.current.name;
    const first = this.tail + 1;
    const keys: KeyRecord[] = [];
    const entries: WrittenEntry[] = [];
    const accepted: Job[] = [];
    this.#scratch.used = 0;
    for (const job of jobs) {
      const { events, idempotency } = job;
      const before = { used: this.#scratch.used, count: entries.length };
      try {
        for (const event of events)
          entries.push(writeRecord(this.#scratch, event, epoch, first + entries.length, timeMs));
      } catch (error) {
        this.#scratch.used = before.used;
        entries.length = before.count;
        job.reject(error);
        continue;
      }
      if (idempotency) keys.push({ ...idempotency, first: first + before.count, count: events.length, timeMs });
      accepted.push(job);
    }
    const records = this.#scratch.take();
    for (const entry of entries) entry.bytes = records;
    return { jobs: accepted, entries, records, keys, first, timeMs };
  }

  #accept(jobs: readonly Job[], batch: Batch, place: number): void {
    this.#writable = true;
    let start = 0;
    for (const entry of batch.entries) {
      const bytes = entry.end - start;
      this.#channels.add(entry.channel, entry.sequence, bytes, place + start, entry.timeMs, entry.key);
      this.#cache.push(entry);
      start = entry.end;
    }
    for (const key of batch.keys) this.#keys.add(key);
    this.tail += batch.entries.length;
    try {
      this.#listener?.(batch.entries);
    } catch (error) {
      // A fault of the listener: the process hears of it, but neither the publishers nor the next batch do.
      setImmediate(() => {
        throw error;
      });
    }
    let { first } = batch;
    for (const { events, resolve } of jobs) {
      resolve({ first, count: events.length });
      first += events.length;
    }
  }

  #refuse(jobs: readonly Job[], error: unknown): void {
    this.#writable = false;
    for (const { reject } of jobs) reject(error);
  }

  #scan(
    selection: Selection,
    after: number,
    limitBytes: number,
    conflate: boolean,
  ): { entries: Entry[]; next: number } {
    const entries: Entry[] = [];
    let bytes = 0;
    for (let sequence = after + 1; sequence <= this.tail; sequence++) {
      const entry = this.#cache.get(sequence) as Entry;
      if (!this.#channels.selects(selection, entry.channel, sequence)) continue;
      if (conflate && entry.key !== undefined && !this.#channels.isLatest(entry.channel, sequence)) continue;
      bytes += entry.end - entry.start;
      if (bytes > limitBytes && entries.length > 0) return { entries, next: sequence - 1 };
      entries.push(entry);
    }
    return { entries, next: this.tail };
  }

  #sweep(): void {
    const nowMs = Date.now();
    this.#channels.sweep(nowMs);
    this.#keys.sweep(nowMs);
    this.#storage.sweep(nowMs);
    if (!this.#writable && !this.#writing) this.#probe();
  }

  /** A hub that says it is not ready may be sent no publish that would show that there is room again. */
  #probe(): void {
    try {
      this.#storage.probe();
      this.#writable = true;
    } catch {
      // not yet
    }
  }
}
