import { MillraceError } from "../protocol/index.js";
import type { Appended } from "./log.js";

/** An idempotency key with the entries it made. */
export interface KeyRecord {
  readonly key: string;
  /** Stands for the content that was published with it. */
  readonly digest: string;
  readonly first: number;
  readonly count: number;
  readonly timeMs: number;
}

interface Known {
  readonly digest: string;
  readonly timeMs: number;
  readonly answer: Promise<Appended> | Appended;
}

const maxKeys = 1_000_000;

/** The idempotency keys of the last while. A Map keeps them in the order they came, so the oldest are found at its front. */
export class Keys {
  #known = new Map<string, Known>();
  readonly #ageMs: number;

  constructor(ageMs: number) {
    this.#ageMs = ageMs;
  }

  /**
   * The answer that the key was given before; a repeat waits for the first when that is still under way.
   * @throws MillraceError `idempotency_conflict` when it was used with other content
   */
  find(key: string, digest: string, nowMs: number): Promise<Appended> | Appended | undefined {
    const known = this.#known.get(key);
    if (!known || known.timeMs < nowMs - this.#ageMs) return undefined;
    if (known.digest !== digest) {
      throw new MillraceError(
        "idempotency_conflict",
        "this idempotency key was used before with another body: use a new key",
      );
    }
    return known.answer;
  }

  /** Remembers an append that is under way; forgets it when it fails, so that it can be tried again. */
  begin(key: string, digest: string, nowMs: number, answer: Promise<Appended>): void {
    const known = { digest, timeMs: nowMs, answer };
    this.#known.delete(key);
    this.#known.set(key, known);
    answer.catch(() => {
      if (this.#known.get(key) === known) this.#known.delete(key);
    });
  }

  /** Remembers an append that is done. */
  add({ key, digest, first, count, timeMs }: KeyRecord): void {
    this.#known.delete(key);
    this.#known.set(key, { digest, timeMs, answer: { first, count } });
  }

  /** Takes over what an earlier run remembered, unless it is too old. */
  restore(record: KeyRecord, nowMs: number): void {
    if (record.timeMs >= nowMs - this.#ageMs) this.add(record);
  }

  sweep(nowMs: number): void {
    for (const [key, { timeMs }] of this.#known) {
      if (timeMs >= nowMs - this.#ageMs && this.#known.size <= maxKeys) break;
      this.#known.delete(key);
    }
  }
}
