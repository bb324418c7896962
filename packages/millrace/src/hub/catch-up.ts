import type { Log, Slice } from "../log/index.js";
import { chunkBytes } from "./form.js";
import type { Subscriber } from "./subscriber.js";
import type { Turn } from "./turn.js";

export interface CatchUpParts {
  readonly log: Log;
  readonly turn: Turn;
  /** Takes what was read for a subscriber. `drops` is the log's count at the time of reading. */
  readonly take: (subscriber: Subscriber, slice: Slice, drops: number) => void;
  readonly onError: (subscriber: Subscriber, error: unknown) => void;
}

/** Reads the log for those behind its tail, a bounded batch for each in turn. */
export class CatchUp {
  readonly #parts: CatchUpParts;
  #queue: Subscriber[] = [];
  #scheduled = false;

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
  }

  #readFor(subscriber: Subscriber): void {
    if (subscriber.state !== "reading") return;
    const { log, take, onError } = this.#parts;
    const { cursor: after, knownDrops, selection, group } = subscriber;
    const { drops } = log;
    const failed = (error: unknown) => onError(subscriber, error);
    try {
      const slice = log.read({ selection, after, knownDrops, limitBytes: chunkBytes });
      if (slice instanceof Promise) slice.then((read) => this.#taken(subscriber, group, read, drops)).catch(failed);
      else take(subscriber, slice, drops);
    } catch (error) {
      failed(error);
    }
  }
  /** With another selection since, a slice would move the cursor past what it has not read of the new one. */
  #taken(subscriber: Subscriber, group: Subscriber["group"], slice: Slice, drops: number): void {
    if (subscriber.group === group) this.#parts.take(subscriber, slice, drops);
    else this.add(subscriber);
  }
}
