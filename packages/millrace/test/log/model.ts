import { expect } from "vitest";
import type { Gap, Retention } from "../../src/log/index.js";
import { type Selection, selects } from "../../src/protocol/index.js";

interface Item {
  readonly sequence: number;
  readonly channel: string;
  readonly data: string;
  readonly bytes: number;
  readonly timeMs: number;
  dropped: boolean;
}

/**
 * A log as one list that is always searched whole. The limits of a channel are exact, so it applies them itself.
 * Age and bytes in all may cut a little early or late: there it takes over what the log did, and checks that it
 * was the oldest of all, enough, and not much more.
 */
export class Model {
  readonly #retention: Retention;
  readonly items: Item[] = [];
  /** Newest dropped sequence of channels that may be forgotten by now. */
  #forgettableThrough = 0;
  readonly #forgettable = new Set<string>();
  /** The most that was retained at once since the log was last looked at. */
  #mostBytes = 0;

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  get tail(): number {
    return this.items.length;
  }

  get dropped(): number {
    return this.items.filter(({ dropped }) => dropped).length;
  }

  retained(selection?: Selection): Item[] {
    return this.items.filter(({ channel, dropped }) => !dropped && (!selection || selects(selection, channel)));
  }

  append(channel: string, data: string, bytes: number, timeMs: number): void {
    this.items.push({ sequence: this.tail + 1, channel, data, bytes, timeMs, dropped: false });
    const { events, channelBytes } = this.#retention;
    for (;;) {
      const kept = this.retained().filter((item) => item.channel === channel);
      const sum = kept.reduce((all, item) => all + item.bytes, 0);
      if (kept.length <= 1 || (kept.length <= events && sum <= channelBytes)) break;
      (kept[0] as Item).dropped = true;
    }
    this.#mostBytes = Math.max(this.#mostBytes, this.#bytes());
  }

  /** The log retains these: drops the others if age or bytes in all allow it. */
  adopt(sequences: readonly number[], nowMs: number): void {
    const { ageMs, totalBytes } = this.#retention;
    const kept = new Set(sequences);
    const before = this.retained();
    for (const sequence of kept) expect(this.items[sequence - 1]?.dropped, `entry ${sequence} came back`).toBe(false);
    const gone = before.filter(({ sequence }) => !kept.has(sequence));
    const oldest = Math.min(...kept);
    let left = this.#mostBytes;
    for (const item of gone) {
      expect(item.sequence, "something younger was dropped first").toBeLessThan(oldest);
      const largest = Math.max(...this.items.map(({ bytes }) => bytes));
      const tooOld = item.timeMs <= nowMs - ageMs;
      const tooMuch = left > totalBytes * 0.98 - 2 * largest;
      expect(tooOld || tooMuch, `entry ${item.sequence} was dropped without need`).toBe(true);
      left -= item.bytes;
      item.dropped = true;
    }
    this.#mostBytes = this.#bytes();
  }

  #bytes(): number {
    return this.retained().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The log was swept at this time. */
  checkAge(nowMs: number): void {
    for (const { timeMs, sequence } of this.retained())
      expect(timeMs, `entry ${sequence} is too old`).toBeGreaterThanOrEqual(nowMs - this.#retention.ageMs * 1.02 - 2);
    for (const channel of new Set(this.items.map((item) => item.channel))) {
      const own = this.items.filter((item) => item.channel === channel);
      if (own.some(({ dropped }) => !dropped)) continue;
      this.#forgettable.add(channel);
      this.#forgettableThrough = Math.max(this.#forgettableThrough, (own.at(-1) as Item).sequence);
    }
  }

  /** A process that is gone could not say all that it had dropped: what is in the files may come back. */
  comeBack(sequences: readonly number[]): void {
    const kept = new Set(sequences);
    for (const item of this.items) {
      if (!item.dropped) expect(kept.has(item.sequence), `entry ${item.sequence} is lost`).toBe(true);
      item.dropped = !kept.has(item.sequence);
    }
    this.#mostBytes = this.#bytes();
  }

  /** Whether the gap that was said is the right one for what was dropped and is not `known`. */
  checkGap(gap: Gap | undefined, selection: Selection, after: number, known: ReadonlySet<number>): void {
    const concerned = new Set<string>();
    for (const { channel, sequence, dropped } of this.items) {
      if (dropped && sequence > after && !known.has(sequence) && selects(selection, channel)) concerned.add(channel);
    }
    const mayBeForgotten = this.#forgettableThrough > after;
    if (concerned.size > 0) expect(gap, `dropped of ${[...concerned]}`).toBeDefined();
    if (!gap) return;
    if (gap.may) {
      expect(mayBeForgotten, "nothing was forgotten, yet it says may").toBe(true);
      return;
    }
    expect(gap.channels.length).toBeGreaterThan(0);
    expect([...concerned]).toEqual(expect.arrayContaining([...gap.channels]));
    for (const channel of concerned) {
      if (!this.#forgettable.has(channel)) expect(gap.channels).toContain(channel);
    }
  }

  droppedNow(): Set<number> {
    return new Set(this.items.filter(({ dropped }) => dropped).map(({ sequence }) => sequence));
  }
}
