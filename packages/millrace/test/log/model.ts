import { expect } from "vitest";
import type { Gap, Retention, RetentionPolicy } from "../../src/log/index.js";
import { type Selection, selects } from "../../src/protocol/index.js";

interface Item {
  readonly sequence: number;
  readonly channel: string;
  readonly key: string | undefined;
  readonly data: string;
  readonly bytes: number;
  readonly timeMs: number;
  dropped: boolean;
  /** Whether it was dropped while nothing newer had its key. */
  missed: boolean;
}

/**
 * A log as one list that is always searched whole. The limits of a channel are exact, so it applies them itself.
 * Age and bytes in all may cut a little early or late: there it takes over what the log did, and checks that it
 * was the oldest of all, enough, and not much more.
 */
export class Model {
  readonly #retention: Retention;
  #policies: readonly RetentionPolicy[];
  readonly items: Item[] = [];
  /** Newest dropped sequence of channels that may be forgotten by now. */
  #forgettableThrough = 0;
  readonly #forgettable = new Set<string>();
  /** The most that was retained at once since the log was last looked at. */
  #mostBytes = 0;

  constructor(retention: Retention, policies: readonly RetentionPolicy[]) {
    this.#retention = retention;
    this.#policies = policies;
  }

  /** What a channel keeps, and by which policy: found by trying each, as the text of a policy reads. */
  #keeps(channel: string): { events: number; ageMs: number; bytes: number; policy: number } {
    const policy = this.#policies.findIndex(({ channels }) => {
      if (channels === "*") return channel[0] !== "@";
      if (!channels.endsWith("/*")) return channel === channels;
      return channel.length >= channels.length && channel.slice(0, channels.length - 1) === channels.slice(0, -1);
    });
    const { events, ageMs, channelBytes: bytes } = this.#retention;
    return { events, ageMs, bytes, ...this.#policies[policy]?.retention, policy };
  }

  /** The store was opened with other policies: what they allow no more is dropped at once, but for what is too old. */
  reopen(policies: readonly RetentionPolicy[]): void {
    this.#policies = policies;
    for (const channel of new Set(this.items.map((item) => item.channel))) this.#limit(channel);
    this.#mostBytes = this.#bytes();
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

  /** What a conflated reader is given of the selection. */
  latest(selection: Selection): Item[] {
    return this.retained(selection).filter((item) => this.#isLatest(item));
  }

  #isLatest({ channel, key, sequence }: Item): boolean {
    if (key === undefined) return true;
    return !this.items.some((item) => item.sequence > sequence && item.channel === channel && item.key === key);
  }

  #drop(item: Item): void {
    item.dropped = true;
    item.missed = this.#isLatest(item);
  }

  append(channel: string, key: string | undefined, data: string, bytes: number, timeMs: number): void {
    this.items.push({ sequence: this.tail + 1, channel, key, data, bytes, timeMs, dropped: false, missed: false });
    this.#limit(channel);
    this.#mostBytes = Math.max(this.#mostBytes, this.#bytes());
  }

  #limit(channel: string): void {
    const limits = this.#keeps(channel);
    for (;;) {
      const kept = this.retained().filter((item) => item.channel === channel);
      const sum = kept.reduce((all, item) => all + item.bytes, 0);
      if (kept.length <= 1 || (kept.length <= limits.events && sum <= limits.bytes)) break;
      this.#drop(kept[0] as Item);
    }
  }

  /** The log retains these: drops the others if age or bytes in all allow it. */
  adopt(sequences: readonly number[], nowMs: number): void {
    const { totalBytes } = this.#retention;
    const kept = new Set(sequences);
    const before = this.retained();
    for (const sequence of kept) expect(this.items[sequence - 1]?.dropped, `entry ${sequence} came back`).toBe(false);
    const gone = before.filter(({ sequence }) => !kept.has(sequence));
    let oldest = Infinity;
    const oldestOf = new Map<number, number>();
    for (const { sequence, channel } of before) {
      if (!kept.has(sequence)) continue;
      const { policy } = this.#keeps(channel);
      oldest = Math.min(oldest, sequence);
      if (!oldestOf.has(policy)) oldestOf.set(policy, sequence);
    }
    const largest = Math.max(...this.items.map(({ bytes }) => bytes));
    let left = this.#mostBytes;
    for (const item of gone) {
      const { ageMs, policy } = this.#keeps(item.channel);
      // Those of one policy become too old in order, and what is too much goes in the order of them all.
      const tooOld = item.timeMs <= nowMs - ageMs && item.sequence < (oldestOf.get(policy) ?? Infinity);
      const tooMuch = left > totalBytes * 0.98 - 2 * largest && item.sequence < oldest;
      expect(tooOld || tooMuch, `entry ${item.sequence} was dropped without need`).toBe(true);
      left -= item.bytes;
      this.#drop(item);
    }
    this.#mostBytes = this.#bytes();
  }

  #bytes(): number {
    return this.retained().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The log was swept at this time. */
  checkAge(nowMs: number): void {
    for (const { timeMs, sequence, channel } of this.retained()) {
      const { ageMs } = this.#keeps(channel);
      expect(timeMs, `entry ${sequence} is too old`).toBeGreaterThanOrEqual(nowMs - ageMs * 1.02 - 2);
    }
    for (const channel of new Set(this.items.map((item) => item.channel))) {
      const own = this.items.filter((item) => item.channel === channel);
      if (own.some(({ dropped }) => !dropped)) continue;
      this.#forgettable.add(channel);
      this.#forgettableThrough = Math.max(this.#forgettableThrough, (own.at(-1) as Item).sequence);
    }
  }

  /** A process that is gone could not say all that it had dropped: what is in the files may come back. */
  comeBack(sequences: readonly number[], nowMs: number): void {
    const kept = new Set(sequences);
    for (const item of this.items) {
      const tooOld = item.timeMs <= nowMs - this.#keeps(item.channel).ageMs;
      if (!item.dropped && !tooOld) expect(kept.has(item.sequence), `entry ${item.sequence} is lost`).toBe(true);
      if (kept.has(item.sequence)) item.dropped = item.missed = false;
      else if (!item.dropped) this.#drop(item);
    }
    this.#mostBytes = this.#bytes();
  }

  /**
   * Whether the gap that was said is the right one for what was dropped and is not `known`. To a conflated reader the log
   * may say more than it has to: of what it has dropped since a start, it may not know that something newer came.
   */
  checkGap(
    gap: Gap | undefined,
    selection: Selection,
    { after, known, conflate }: { after: number; known: ReadonlySet<number>; conflate: boolean },
  ): void {
    const gone = this.items.filter(
      ({ channel, sequence, dropped }) =>
        dropped && sequence > after && !known.has(sequence) && selects(selection, channel),
    );
    const possible = new Set(gone.map(({ channel }) => channel));
    const concerned = conflate ? new Set(gone.filter(({ missed }) => missed).map(({ channel }) => channel)) : possible;
    const mayBeForgotten = this.#forgettableThrough > after;
    if (concerned.size > 0) expect(gap, `dropped of ${[...concerned]}`).toBeDefined();
    if (!gap) return;
    if (gap.may) {
      expect(mayBeForgotten, "nothing was forgotten, yet it says may").toBe(true);
      return;
    }
    expect(gap.channels.length).toBeGreaterThan(0);
    expect([...possible]).toEqual(expect.arrayContaining([...gap.channels]));
    for (const channel of concerned) {
      if (!this.#forgettable.has(channel)) expect(gap.channels).toContain(channel);
    }
  }

  droppedNow(): Set<number> {
    return new Set(this.items.filter(({ dropped }) => dropped).map(({ sequence }) => sequence));
  }
}
