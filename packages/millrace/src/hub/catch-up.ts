import type { Log, MaybePromise } from "../log/index.js";
import { type Selection, selectionOf } from "../protocol/index.js";
import { Batch } from "./batch.js";
import { chunkBytes } from "./form.js";
import type { Group } from "./groups.js";
import { broadcastChannel } from "./notify.js";
import type { Subscriber } from "./subscriber.js";
import type { Turn } from "./turn.js";

export interface CatchUpParts {
  readonly log: Log;
  readonly turn: Turn;
  /** Takes what was read for a subscriber, and perhaps for others. */
  readonly take: (subscriber: Subscriber, batch: Batch) => void;
  readonly onError: (subscriber: Subscriber, error: unknown) => void;
}

/** What the members of a group read, and what was read of it last. */
interface Shared {
  readonly selection: Selection;
  batch: Batch | undefined;
}

/** Reads the log for those behind its tail, a bounded batch for each in turn. */
export class CatchUp {
  readonly #parts: CatchUpParts;
  #queue: Subscriber[] = [];
  #scheduled = false;
  /** For as long as anyone waits to read. */
  readonly #shared = new Map<Group<Subscriber>, Shared>();

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /** A subscriber whose state is `reading`. */
  add(subscriber: Subscriber): void {
    this.#queue.push(subscriber);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#read());
  }

  #read(): void {
    this.#scheduled = false;
    const queue = this.#queue;
    this.#queue = [];
    const endMs = performance.now() + this.#parts.turn.readingMs;
    let at = 0;
    for (; at < queue.length && (at === 0 || performance.now() < endMs); at++) this.#readFor(queue[at] as Subscriber);
    // Those whose turn did not come are first in the next one.
    this.#queue = queue.slice(at).concat(this.#queue);
    if (this.#queue.length > 0) this.#schedule();
    else this.#shared.clear();
  }

  #readFor(subscriber: Subscriber): void {
    if (subscriber.state !== "reading") return;
    const { take, onError } = this.#parts;
    const { group } = subscriber;
    const failed = (error: unknown) => onError(subscriber, error);
    try {
      const batch = this.#batchFor(subscriber);
      if (batch instanceof Promise) batch.then((read) => this.#taken(subscriber, group, read)).catch(failed);
      else take(subscriber, batch);
    } catch (error) {
      failed(error);
    }
  }

  /** With another selection since, a batch would move the cursor past what it has not read of the new one. */
  #taken(subscriber: Subscriber, group: Subscriber["group"], batch: Batch): void {
    if (subscriber.group === group) this.#parts.take(subscriber, batch);
    else this.add(subscriber);
  }

  #batchFor(subscriber: Subscriber): MaybePromise<Batch> {
    const { cursor, knownDrops, group } = subscriber;
    if (!this.#parts.log.isQuiet(subscriber.ownChannels, cursor))
      return this.#batchOf(subscriber, subscriber.selection);
    // Nothing is its own: it reads what all of its group do.
    let shared = this.#shared.get(group);
    if (shared?.batch?.serves(cursor, knownDrops)) return shared.batch;
    if (!shared) {
      const { exact, prefixes } = group.selection;
      shared = { selection: selectionOf([...exact, broadcastChannel], prefixes), batch: undefined };
      this.#shared.set(group, shared);
    }
    const batch = this.#batchOf(subscriber, shared.selection);
    if (!(batch instanceof Promise)) shared.batch = batch;
    return batch;
  }

  #batchOf({ cursor: after, knownDrops, group }: Subscriber, selection: Selection): MaybePromise<Batch> {
    const { log } = this.#parts;
    const { drops } = log;
    const slice = log.read({ selection, after, knownDrops, limitBytes: chunkBytes });
    const parts = { after, knownDrops, drops, form: group.form };
    return slice instanceof Promise
      ? slice.then((read) => new Batch({ ...parts, slice: read }))
      : new Batch({ ...parts, slice });
  }
}
