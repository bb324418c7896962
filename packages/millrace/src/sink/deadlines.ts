/** What is watched: it carries its own place, so that watching it allocates nothing. */
export interface Timed {
  /** Where it is in the round of heartbeats; -1: it is sent none. */
  slot: number;
  /** When its time is over, in milliseconds since 1970; Infinity: never. */
  endsAtMs: number;
}

export interface DeadlinesParts<T extends Timed> {
  readonly heartbeatMs: number;
  readonly onHeartbeat: (due: Iterable<T>) => void;
  readonly onDeadline: (due: T) => void;
  readonly onTick?: () => void;
}

/** Heartbeats are spread over so many slots: ten thousand writes at one moment would hold up everyone. */
const slots = 16;
/** How long a stream that was ended may take to be gone before it is cut, in milliseconds. */
const endingMs = 5000;
const tickMs = 250;

/** All times of all connections, with two timers in all, which run while there is anything to watch. */
export class Deadlines<T extends Timed> {
  readonly #parts: DeadlinesParts<T>;
  readonly #slots: Set<T>[] = Array.from({ length: slots }, () => new Set());
  /** Deadlines by the tick in which they are due. */
  readonly #due = new Map<number, Set<T>>();
  #timers: NodeJS.Timeout[] = [];
  #watched = 0;
  #slot = 0;
  /** Those that came since the last beat. */
  #came = 0;
  #tick = 0;

  constructor(parts: DeadlinesParts<T>) {
    this.#parts = parts;
  }

  /** Watches `endsAtMs`, and has heartbeats sent. */
  add(timed: T, heartbeats: boolean): void {
    if (this.#watched++ === 0) this.#start();
    if (heartbeats) {
      // The slot whose turn was last: its next is a whole interval away. Those that come together are spread before it.
      timed.slot = (this.#slot + slots - 1 - (this.#came++ % slots)) % slots;
      this.#slots[timed.slot]?.add(timed);
    }
    this.#expect(timed, timed.endsAtMs);
  }

  /** The stream was ended: it is given a while to go. */
  ending(timed: T): void {
    this.#slots[timed.slot]?.delete(timed);
    this.#forget(timed);
    timed.endsAtMs = Date.now() + endingMs;
    this.#expect(timed, timed.endsAtMs);
  }

  /** Brings an end forward. */
  noLater(timed: T, atMs: number): void {
    if (atMs >= timed.endsAtMs) return;
    this.#forget(timed);
    this.#expect(timed, atMs);
  }

  /** Once for each that was added. */
  remove(timed: T): void {
    this.#slots[timed.slot]?.delete(timed);
    this.#forget(timed);
    if (--this.#watched === 0) this.close();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  #start(): void {
    const { heartbeatMs } = this.#parts;
    this.#tick = Math.floor(Date.now() / tickMs);
    this.#timers.push(setInterval(() => this.#turn(), tickMs));
    if (heartbeatMs > 0) this.#timers.push(setInterval(() => this.#beat(), Math.max(1, heartbeatMs / slots)));
    for (const timer of this.#timers) timer.unref();
  }

  #forget(timed: T): void {
    if (timed.endsAtMs === Infinity) return;
    const tick = tickOf(timed.endsAtMs);
    const due = this.#due.get(tick);
    due?.delete(timed);
    if (due?.size === 0) this.#due.delete(tick);
  }

  #expect(timed: T, atMs: number): void {
    if (atMs === Infinity) return;
    const tick = Math.max(tickOf(atMs), this.#tick + 1);
    timed.endsAtMs = tick * tickMs;
    const due = this.#due.get(tick);
    if (due) due.add(timed);
    else this.#due.set(tick, new Set([timed]));
  }

  #turn(): void {
    const now = Math.floor(Date.now() / tickMs); // a token that is good for another moment must not be cut off
    // A clock that was set far ahead makes one long turn, not a loop over every tick since.
    const due =
      now - this.#tick > 1000 ? [...this.#due.keys()].filter((tick) => tick <= now) : range(this.#tick + 1, now);
    this.#tick = now;
    for (const tick of due) {
      const all = this.#due.get(tick);
      this.#due.delete(tick);
      for (const timed of all ?? []) this.#parts.onDeadline(timed);
    }
    this.#parts.onTick?.();
  }

  #beat(): void {
    const due = this.#slots[this.#slot] as Set<T>;
    this.#slot = (this.#slot + 1) % slots;
    this.#came = 0;
    if (due.size > 0) this.#parts.onHeartbeat(due);
  }
}

const tickOf = (ms: number): number => Math.ceil(ms / tickMs);
const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => from + at);
