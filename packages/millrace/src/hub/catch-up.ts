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

/**
 * One read for the values of two thousand keys: of what is read in parts the rest has been replaced by the time that a
 * slow client takes it, and who publishes its keys in one order would never get the last of them to it.
 */
const conflatedBytes = 4 * chunkBytes;

/**
 * What is kept for others who need the same: bytes, batches, and how long after the last read. A thousand who begin at
 * one place are soon a megabyte apart, and those who wait for their sockets come back to it.
 */
const sharedBytes = 4 * 1024 * 1024;
const mostShared = 128;
const sharedMs = 1000;

/** A read that is under way, and who else needs just that. */
interface Coming {
  readonly group: Group<Subscriber>;
  readonly after: number;
  readonly knownDrops: number;
  readonly waiting: Subscriber[];
}

/** Reads the log for those behind its tail, a bounded batch for each in turn. */
export class CatchUp {
  readonly #parts: CatchUpParts;
  #queue: Subscriber[] = [];
  #scheduled = false;
  /** What the members of a group all read, and what was read of that: the newest first. */
  readonly #selections = new Map<Group<Subscriber>, Selection>();
  #shared: { readonly group: Group<Subscriber>; readonly batch: Batch }[] = [];
  readonly #coming = new Set<Coming>();
  #idle: NodeJS.Timeout | undefined;

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
    else this.#idle ??= setTimeout(() => this.#forget(), sharedMs).unref();
  }

  #forget(): void {
    this.#idle = undefined;
    if (this.#queue.length > 0) return;
    this.#selections.clear();
    this.#shared = [];
  }

  #readFor(subscriber: Subscriber): void {
    if (subscriber.state !== "reading") return;
    const { log, take, onError } = this.#parts;
    const { cursor, group, cadence } = subscriber;
    try {
      // With nothing of its own it reads what all of its group do. Of a shared log not all of that is committed here.
      const isCaughtUp = cadence && !log.shared && cadence.ownThrough <= cursor;
      const shares = isCaughtUp || log.isQuiet(subscriber.ownChannels, cursor);
      const known = shares && this.#known(subscriber);
      if (known) take(subscriber, known);
      if (known || (shares && this.#waits(subscriber))) return;
      const batch = (shares && this.#recent(subscriber)) || this.#batchOf(subscriber, shares);
      if (batch instanceof Promise) void this.#await(subscriber, batch, shares);
      else {
        if (shares) this.#share(group, batch);
        take(subscriber, batch);
      }
    } catch (error) {
      onError(subscriber, error);
    }
  }

  async #await(subscriber: Subscriber, read: Promise<Batch>, shares: boolean): Promise<void> {
    const { cursor: after, knownDrops, group } = subscriber;
    const coming: Coming = { group, after, knownDrops, waiting: [] };
    if (shares && !group.conflate) this.#coming.add(coming);
    try {
      const batch = await read;
      if (shares) this.#share(group, batch);
      // Else it would move the cursor past what it does not hold: another selection's, or what has become its own since.
      const isAll = !shares || this.#parts.log.isQuiet(subscriber.ownChannels, after);
      if (subscriber.group === group && isAll) this.#parts.take(subscriber, batch);
      else this.add(subscriber);
    } catch (error) {
      this.#parts.onError(subscriber, error);
    }
    this.#coming.delete(coming);
    // In turns, like all others: a thousand writes at once would hold everyone up.
    for (const each of coming.waiting) this.add(each);
  }

  /** Whether another reads just what it needs, and it waits for that. */
  #waits(subscriber: Subscriber): boolean {
    const { cursor, knownDrops, group } = subscriber;
    for (const coming of this.#coming) {
      if (coming.group !== group || coming.after !== cursor || coming.knownDrops !== knownDrops) continue;
      coming.waiting.push(subscriber);
      return true;
    }
    return false;
  }

  #known(subscriber: Subscriber): Batch | undefined {
    const { group } = subscriber;
    return this.#shared.find((each) => each.group === group && this.#serves(each.batch, subscriber))?.batch;
  }

  /** What was the latest of a key when it was read may be so no longer: where that matters, only of an unchanged log. */
  #serves(batch: Batch, { cursor, knownDrops, group }: Subscriber): boolean {
    return batch.serves(cursor, knownDrops) && (!group.conflate || batch.tail === this.#parts.log.tail);
  }

  #share(group: Group<Subscriber>, batch: Batch): void {
    if (group.members < 2) return; // a watchlist of its own: there is nobody to keep it for
    let bytes = 0;
    this.#shared = [{ group, batch }, ...this.#shared.slice(0, mostShared - 1)].filter((each) => {
      bytes += each.batch.size;
      return bytes <= sharedBytes;
    });
  }

  #selectionOf(group: Group<Subscriber>): Selection {
    let selection = this.#selections.get(group);
    if (!selection) {
      const { exact, prefixes } = group.selection;
      selection = selectionOf([...exact, broadcastChannel], prefixes);
      this.#selections.set(group, selection);
    }
    return selection;
  }

  /** What its group has kept for it. */
  #recent({ cursor: after, knownDrops, group }: Subscriber): Batch | undefined {
    const { drops, tail, shared } = this.#parts.log;
    // Of a shared log, entries may come late.
    const entries = shared ? undefined : group.recent?.behind(after, conflatedBytes);
    if (!entries) return undefined;
    if (group.members === 1) group.recent?.clear(tail);
    return new Batch({
      after,
      knownDrops,
      drops,
      tail,
      form: group.form,
      slice: { entries, next: tail, gap: undefined },
    });
  }

  #batchOf(subscriber: Subscriber, shares: boolean): MaybePromise<Batch> {
    const { cursor: after, knownDrops, group } = subscriber;
    const { log } = this.#parts;
    const { drops, tail } = log;
    const { conflate } = group;
    const selection = shares ? this.#selectionOf(group) : subscriber.selection;
    const limitBytes = conflate ? conflatedBytes : chunkBytes;
    const slice = log.read({ selection, after, knownDrops, limitBytes, conflate });
    const parts = { after, knownDrops, drops, tail, form: group.form };
    return slice instanceof Promise
      ? slice.then((read) => new Batch({ ...parts, slice: read }))
      : new Batch({ ...parts, slice });
  }
}
