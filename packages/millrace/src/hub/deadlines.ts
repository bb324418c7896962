import type { Subscriber } from "./subscriber.js";

export interface DeadlinesParts {
  readonly heartbeatMs: number;
  readonly onHeartbeat: (subscribers: Iterable<Subscriber>) => void;
  readonly onDeadline: (subscriber: Subscriber) => void;
  readonly onTick: () => void;
}

/** Heartbeats are spread over so many slots: ten thousand writes at one moment would hold up everyone. */
const slots = 16;
/** How long a stream that was ended may take to be gone before it is cut, in milliseconds. */
const endingMs = 5000;
const tickMs = 250;

/** All times of all subscribers, with two timers in all. */
export class Deadlines {
  readonly #parts: DeadlinesParts;
  readonly #slots: Set<Subscriber>[] = Array.from({ length: slots }, () => new Set());
  /** Deadlines by the tick in which they are due. */
  readonly #due = new Map<number, Set<Subscriber>>();
  readonly #timers: NodeJS.Timeout[] = [];
  #slot = 0;
  #next = 0;
  #tick = tickOf(Date.now());

  constructor(parts: DeadlinesParts) {
    this.#parts = parts;
    this.#timers.push(setInterval(() => this.#turn(), tickMs));
    if (parts.heartbeatMs > 0)
      this.#timers.push(setInterval(() => this.#beat(), Math.max(1, parts.heartbeatMs / slots)));
    for (const timer of this.#timers) timer.unref();
  }

  /** Watches a subscriber's `endsAtMs`, and has it sent heartbeats. */
  add(subscriber: Subscriber, heartbeats: boolean): void {
    if (heartbeats) {
      subscriber.slot = this.#next;
      this.#next = (this.#next + 1) % slots;
      this.#slots[subscriber.slot]?.add(subscriber);
    }
    this.#expect(subscriber, subscriber.endsAtMs);
  }

  /** The stream was ended: it is given a while to go. */
  ending(subscriber: Subscriber): void {
    this.remove(subscriber);
    subscriber.endsAtMs = Date.now() + endingMs;
    this.#expect(subscriber, subscriber.endsAtMs);
  }

  remove(subscriber: Subscriber): void {
    this.#slots[subscriber.slot]?.delete(subscriber);
    if (subscriber.endsAtMs === Infinity) return;
    const tick = tickOf(subscriber.endsAtMs);
    const due = this.#due.get(tick);
    due?.delete(subscriber);
    if (due?.size === 0) this.#due.delete(tick);
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #expect(subscriber: Subscriber, atMs: number): void {
    if (atMs === Infinity) return;
    const tick = Math.max(tickOf(atMs), this.#tick + 1);
    subscriber.endsAtMs = tick * tickMs;
    const due = this.#due.get(tick);
    if (due) due.add(subscriber);
    else this.#due.set(tick, new Set([subscriber]));
  }

  #turn(): void {
    const now = tickOf(Date.now());
    // A clock that was set far ahead makes one long turn, not a loop over every tick since.
    const due =
      now - this.#tick > 1000 ? [...this.#due.keys()].filter((tick) => tick <= now) : range(this.#tick + 1, now);
    this.#tick = now;
    for (const tick of due) {
      const subscribers = this.#due.get(tick);
      this.#due.delete(tick);
      for (const subscriber of subscribers ?? []) this.#parts.onDeadline(subscriber);
    }
    this.#parts.onTick();
  }

  #beat(): void {
    const subscribers = this.#slots[this.#slot] as Set<Subscriber>;
    this.#slot = (this.#slot + 1) % slots;
    if (subscribers.size > 0) this.#parts.onHeartbeat(subscribers);
  }
}

const tickOf = (ms: number): number => Math.ceil(ms / tickMs);
const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => from + at);
