import type { Entry } from "../entry.js";
import type { Follows } from "./follows.js";
import type { Drops, LinkedEntry, Message } from "./message.js";
import type { Recent } from "./recent.js";

export interface FeedParts {
  readonly follows: Follows;
  readonly recent: Recent;
  /** Reads the entries of a channel behind `after`, up to `through`. */
  readonly fill: (channel: string, after: number, through: number) => Promise<readonly LinkedEntry[]>;
  readonly commit: (entries: readonly Entry[]) => void;
  /** Told of entries that were missing, and lie before the tail. */
  readonly onLate: (entries: readonly Entry[]) => void;
  /** Entries that should have come are dropped by now. */
  readonly onMissed: () => void;
}

/** A channel has had something up to `last`. */
interface Check {
  readonly channel: string;
  readonly last: number;
}

interface Hole {
  readonly channel: string;
  readonly after: number;
  readonly through: number;
}

interface Reached {
  readonly sequence: number;
  readonly needs: number;
  readonly resolve: () => void;
}

const unknownDrops: Drops = { dropped: 0, droppedAt: 0, missed: 0, missedAt: 0 };

/**
 * Puts what comes from Redis in its order and commits it, once per turn of the event loop. Each message names the
 * sequence before it in its channel: when that never came, all waits until it is read from the stream.
 *
 *   messages, checks → queue ─(end of the turn)→ hole? → read it, then on → recent → listeners → those who wait for the tail
 */
export class Feed {
  readonly #parts: FeedParts;
  #queue: (Message | Check)[] = [];
  #reached: Reached[] = [];
  #scheduled = false;
  #paused = true;
  /** Counts the times that all was begun anew: a hole that was being filled then is void. */
  #generation = 0;
  /** The newest sequence that a message has brought. */
  #seen = 0;
  tail = 0;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  push(item: Message | Check): void {
    this.#queue.push(item);
    this.#schedule();
  }

  /**
   * Redis is at `sequence`, and all that it had sent before it said so is here. Resolves when that is committed.
   * @param needs a sequence that comes as a message, perhaps later
   */
  reach(sequence: number, needs = 0): Promise<void> {
    return new Promise((resolve) => {
      this.#reached.push({ sequence, needs, resolve });
      this.#schedule();
    });
  }

  /** The connection is lost: what came over it is committed, what comes next waits for `resume`. */
  pause(): void {
    if (!this.#paused) this.#flush();
    this.#paused = true;
    this.#generation++;
    this.#queue = [];
    // Who waits has its answer from Redis; what is missing here comes when it is back, and nobody knows when.
    for (const { resolve } of this.#reached) resolve();
    this.#reached = [];
  }

  /** Goes on at `tail`. `missed`: what came meanwhile, of all that is followed; undefined: nobody knows. */
  resume(tail: number, missed: readonly Entry[] | undefined): void {
    const { recent, commit } = this.#parts;
    if (missed) {
      for (const entry of missed) {
        recent.add(entry);
        recent.mark(entry.channel, unknownDrops, entry.sequence);
      }
    } else recent.clear(tail);
    this.tail = Math.max(this.tail, tail);
    this.#seen = Math.max(this.#seen, this.tail);
    commit(missed ?? []);
    this.#paused = false;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#paused) this.#flush();
    });
  }

  #flush(): void {
    const queue = this.#queue;
    const entries: Entry[] = [];
    let hole: Hole | undefined;
    let at = 0;
    for (; at < queue.length; at++) {
      const item = queue[at] as Message | Check;
      hole = this.#holeBefore(item);
      if (hole) break;
      if ("entries" in item) this.#accept(item, entries);
    }
    this.#queue = queue.slice(at);
    let tail = Math.max(this.tail, entries.at(-1)?.sequence ?? 0);
    this.#seen = Math.max(this.#seen, tail);
    const reached: Reached[] = [];
    while (!hole && this.#reached[0] && this.#reached[0].needs <= this.#seen) {
      const next = this.#reached.shift() as Reached;
      tail = Math.max(tail, next.sequence);
      reached.push(next);
    }
    this.#commit(entries, tail);
    for (const { resolve } of reached) resolve();
    if (hole) void this.#fill(hole);
  }

  #commit(entries: readonly Entry[], tail: number): void {
    if (entries.length === 0 && tail === this.tail) return;
    this.tail = tail;
    this.#parts.commit(entries);
  }

  /** The newest of a channel that has come, or need not come; undefined while it is not followed from a known place on. */
  #knownOf(channel: string): number | undefined {
    const since = this.#parts.follows.sinceOf(channel);
    return since === undefined ? undefined : Math.max(since, this.#parts.recent.lastOf(channel));
  }

  #holeBefore(item: Message | Check): Hole | undefined {
    const { channel } = item;
    const after = this.#knownOf(channel);
    if (after === undefined) return undefined;
    const through = "entries" in item ? item.entries.find(({ sequence }) => sequence > after)?.previous : item.last;
    return through !== undefined && through > after ? { channel, after, through } : undefined;
  }

  #accept({ channel, entries, drops }: Message, accepted: Entry[]): void {
    const { recent } = this.#parts;
    // The same comes twice where a name and a prefix are followed that hold one channel.
    const known = recent.lastOf(channel);
    let last = known;
    for (const entry of entries) {
      if (entry.sequence <= known) continue;
      recent.add(entry);
      accepted.push(entry);
      last = entry.sequence;
    }
    recent.mark(channel, drops, last);
  }

  /** What is missing comes late: behind its channel's last, but perhaps before other channels' newest. */
  async #fill({ channel, after, through }: Hole): Promise<void> {
    const { recent, fill, onLate, onMissed } = this.#parts;
    const generation = this.#generation;
    this.#paused = true;
    let found: readonly LinkedEntry[];
    try {
      found = await fill(channel, after, through);
    } catch {
      return; // the connection is lost, and all begins anew
    }
    if (generation !== this.#generation) return;
    for (const entry of found) recent.add(entry);
    recent.mark(channel, unknownDrops, through);
    this.#paused = false;
    const { tail } = this;
    const late = found.filter(({ sequence }) => sequence <= tail);
    const next = found.slice(late.length);
    if (late.length > 0) onLate(late);
    this.#commit(next, next.at(-1)?.sequence ?? tail);
    let last = after;
    for (const { previous, sequence } of found) {
      if (previous > last) last = Number.NaN;
      else last = sequence;
    }
    if (last !== through) onMissed();
    this.#flush();
  }
}
