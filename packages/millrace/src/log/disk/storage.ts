import { MillraceError } from "../../protocol/index.js";
import type { Channels } from "../channels.js";
import type { Entry } from "../entry.js";
import type { Epochs } from "../epochs.js";
import type { MaybePromise, Retention } from "../log.js";
import type { Ref } from "../merge.js";
import type { Batch, Storage } from "../sequenced.js";
import { type Checkpoint, writeCheckpoint } from "./checkpoint.js";
import { findRoom } from "./files.js";
import { encodeFrame } from "./frame.js";
import type { Lock } from "./lock.js";
import type { Torn } from "./recovery.js";
import { chooseRun, rewrite } from "./rewrite.js";
import { Segment } from "./segment.js";
import type { Segments } from "./segments.js";

/** `process`: an acknowledged entry survives the end of the process. `power`: it is on the disk. */
export type Durability = "process" | "power";

export interface DiskStorageParts {
  readonly folder: string;
  readonly bootId: string;
  readonly durability: Durability;
  readonly retention: Retention;
  readonly channels: Channels;
  /** Epochs with a new one for this run. */
  readonly epochs: Epochs;
  /** Whether the folder held no store before. */
  readonly isNew: boolean;
  readonly segments: Segments;
  readonly floor: number;
  readonly tail: number;
  readonly torn: Torn | undefined;
  readonly lock: Lock;
  readonly onNotice: (message: string) => void;
}

const fullNoticeMs = 60_000;
const noSpace = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/**
 * A folder of append-only files. What retention drops is given back: a file that holds nothing any more is removed, and
 * where dropped entries lie between retained ones, neighbouring files are rewritten into one.
 */
export class DiskStorage implements Storage {
  readonly #parts: DiskStorageParts;
  readonly #segments: Segments;
  readonly #segmentBytes: number;
  #active: Segment | undefined;
  /** Whether the new epoch is on the disk. */
  #saved = false;
  #torn: Torn | undefined;
  /** No write has found room since one was refused for the lack of it. */
  #full = false;
  #fullToldMs = 0;
  #floor: number;
  #tail: number;
  #uncut = false;
  /** A flush of the active file failed. The system may have given up what it could not write, and call the file flushed the next time: so it takes no more. */
  #spoiled = false;
  #closing = false;
  #tidying: Promise<void> | undefined;
  #tidyProblem = "";
  /** The file before the active one, until it is on the disk. */
  #unflushed: Segment | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(parts: DiskStorageParts) {
    this.#parts = parts;
    this.#segments = parts.segments;
    this.#floor = parts.floor;
    this.#tail = parts.tail;
    this.#torn = parts.torn;
    this.#segmentBytes = Math.max(64 * 1024, Math.min(16 * 1024 * 1024, parts.retention.totalBytes / 64));
    const last = this.#segments.list.at(-1);
    if (last?.end === Infinity) this.#active = last;
    try {
      this.#beginEpoch();
    } catch (error) {
      // A full disk: what is there can be read, and the epoch begins with the first entry that finds room.
      if (parts.isNew || !isNoSpace(error)) throw refusal(error);
      this.#setFull(true);
    }
  }

  get epochs(): Epochs {
    return this.#parts.epochs;
  }

  get storedBytes(): number {
    return this.#segments.storedBytes;
  }

  prepare(): void {
    this.#guard(() => {
      this.#beginEpoch();
      this.#cut();
      if (!this.#active || this.#spoiled || this.#active.size >= this.#segmentBytes) this.#rotate();
    });
  }

  /** Whether this run's epoch is on the disk: it is not after a start on a full one. */
  get writable(): boolean {
    return this.#saved;
  }

  probe(): void {
    this.#guard(() => {
      this.#beginEpoch();
      this.#cut();
      findRoom(this.#parts.folder);
      this.#setFull(false);
    });
  }

  write(batch: Batch): MaybePromise<number> {
    const segment = this.#active as Segment;
    const buffers = encodeFrame(batch);
    const sizeBefore = segment.size;
    const at = this.#guard(() => {
      try {
        return segment.write(buffers);
      } catch (error) {
        this.#uncut = true;
        throw error;
      }
    });
    const place = at + (buffers[0] as Buffer).length;
    if (this.#parts.durability === "process") return this.#written(segment, batch, place);
    return segment.flush().then(
      () => this.#written(segment, batch, place),
      (error) => {
        segment.size = sizeBefore;
        this.#uncut = true;
        this.#spoiled = true;
        throw refusal(error);
      },
    );
  }

  #written(segment: Segment, { records, keys, entries, timeMs }: Batch, place: number): number {
    segment.liveBytes += records.length;
    if (keys.length > 0) {
      segment.keyBytes += segment.size - place - records.length;
      segment.keyTimeMs = timeMs;
    }
    this.#tail += entries.length;
    this.#setFull(false);
    return place;
  }

  async read(refs: readonly Ref[]): Promise<Entry[]> {
    const parts: Promise<Entry[]>[] = [];
    for (let from = 0; from < refs.length; ) {
      const segment = this.#segments.find((refs[from] as Ref).sequence);
      let to = from + 1;
      while (to < refs.length && (refs[to] as Ref).sequence <= segment.end) to++;
      parts.push(segment.read(refs.slice(from, to)));
      from = to;
    }
    return (await Promise.all(parts)).flat();
  }

  sweep(nowMs: number): void {
    if (this.#tidying) return;
    this.#tidying = this.#tidy(nowMs - this.#parts.retention.keyAgeMs)
      .then(
        () => {
          this.#tidyProblem = "";
        },
        ({ message }: Error) => {
          // It is tried again every second: a full disk is told once, not until it is mended.
          if (message !== this.#tidyProblem) this.#parts.onNotice(`the store could not be tidied: ${message}`);
          this.#tidyProblem = message;
        },
      )
      .finally(() => {
        this.#tidying = undefined;
      });
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#tidying;
    await this.#flushing;
    try {
      this.#cut();
      this.#active?.flushSync();
      if (this.#saved) this.#checkpoint({ clean: true });
    } catch (error) {
      // Not a reason to fail: the next start reads the store as after a crash.
      this.#parts.onNotice(`the store could not be closed in order: ${(error as Error).message}`);
    } finally {
      this.#segments.close();
      await this.#parts.lock.release();
    }
  }

  /** The new epoch must be on the disk before an entry is written in its name. */
  #beginEpoch(): void {
    if (this.#saved) return;
    this.#checkpoint({});
    if (this.#torn) {
      this.#torn.cut();
      this.#torn = undefined;
      this.#checkpoint({});
    }
    this.#saved = true;
  }

  #checkpoint(changes: Partial<Checkpoint>): void {
    const cause = this.#torn?.cause;
    writeCheckpoint(this.#parts.folder, {
      epochs: this.#parts.epochs.list,
      drops: this.#parts.channels.record(),
      floor: this.#floor,
      tail: this.#tail,
      clean: false,
      bootId: cause?.bootId ?? this.#parts.bootId,
      flushed: cause?.flushed ?? this.#parts.durability === "power",
      ...changes,
    });
  }

  /** Takes back a write that failed in the middle. While that fails too, nothing more is written. */
  #cut(): void {
    if (!this.#uncut) return;
    const segment = this.#active as Segment;
    segment.cut(segment.size);
    this.#uncut = false;
  }

  #rotate(): void {
    const { folder, durability } = this.#parts;
    // After a power cut only the last two files may be torn: so the one before them is on the disk by then, if need be
    // by waiting for it.
    this.#unflushed?.flushSync();
    let full = this.#active;
    if (full && full.base > this.#tail) {
      this.#segments.remove(full);
      this.#active = full = undefined;
    }
    const next = Segment.create(folder, this.#tail + 1, durability === "power");
    if (full) full.end = this.#tail;
    this.#spoiled = false;
    if (full && durability === "process") this.#flush(full);
    this.#active = next;
    this.#segments.list.push(next);
  }

  #flush(segment: Segment): void {
    this.#unflushed = segment;
    this.#flushing = segment
      .flush()
      .catch((error: Error) => this.#parts.onNotice(`the store could not be flushed: ${error.message}`))
      .finally(() => {
        if (this.#unflushed === segment) this.#unflushed = undefined;
      });
  }

  /** Told when it changes; but a disk where small events fit and large ones do not is not told a thousand times. */
  #setFull(full: boolean): void {
    if (full === this.#full) return;
    this.#full = full;
    const nowMs = Date.now();
    if (nowMs - this.#fullToldMs < fullNoticeMs) return;
    this.#fullToldMs = full ? this.#fullToldMs : nowMs;
    this.#parts.onNotice(
      full
        ? "no space on the store's disk: publishing is refused until there is some"
        : "there is space on the store's disk again: publishing goes on",
    );
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (isNoSpace(error)) this.#setFull(true);
      throw refusal(error);
    }
  }

  async #tidy(keysSinceMs: number): Promise<void> {
    const { list } = this.#segments;
    const needed = list.findIndex((segment) => segment === this.#active || !segment.isDone(keysSinceMs));
    const gone = needed < 0 ? [...list] : list.slice(0, needed);
    if (gone.length > 0) this.#removeFront(gone);
    const { folder, channels } = this.#parts;
    // While publishing is refused, any garbage is too much; and a file at a time, for its copy needs room too.
    const tolerated = () => (this.#full ? 0 : channels.bytes / 2 + 4 * this.#segmentBytes);
    while (!this.#closing && this.#segments.garbage(keysSinceMs) > tolerated()) {
      const run = chooseRun(list, this.#active, this.#full ? 0 : this.#segmentBytes, keysSinceMs);
      if (!run) return;
      await rewrite({ run, segments: this.#segments, folder, channels, keysSinceMs }, () => this.#checkpoint({}));
    }
  }

  #removeFront(gone: readonly Segment[]): void {
    const floorBefore = this.#floor;
    this.#floor = (gone.at(-1) as Segment).end;
    const remove = () => {
      for (const segment of gone) this.#segments.remove(segment);
    };
    try {
      this.#checkpoint({});
      remove();
    } catch (error) {
      if (!isNoSpace(error)) {
        this.#floor = floorBefore;
        throw error;
      }
      // Removing is what makes room. A crash in between is seen at the next start, and told as a gap that says "may".
      remove();
      this.#checkpoint({});
    }
  }
}

const isNoSpace = (error: unknown) => noSpace.has((error as NodeJS.ErrnoException).code ?? "");

function refusal(error: unknown): unknown {
  if (error instanceof MillraceError) return error;
  return isNoSpace(error)
    ? new MillraceError("store_full", "no space on the store's disk: nothing was kept, publish again later", {
        cause: error,
      })
    : new MillraceError("store_failed", `the store cannot be written: ${(error as Error).message}`, { cause: error });
}
