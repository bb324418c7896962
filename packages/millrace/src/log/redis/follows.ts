import { prefixesOf, type Selection } from "../../protocol/index.js";
import type { Following } from "../log.js";

/** A channel's name, or a prefix with its slash, that is followed. */
interface Part {
  readonly name: string;
  readonly isPrefix: boolean;
  followers: number;
  /** When the last follower has gone. */
  freeSinceMs: number;
  /** Whether Redis has been told. */
  asked: boolean;
  /** All that came behind this sequence has come here, or will. Undefined while that is not so yet. */
  since: number | undefined;
}

/** What is to be told to Redis. */
export interface Topics {
  readonly exact: readonly string[];
  readonly prefixes: readonly string[];
}

/** How long what nobody follows any more is still listened to, in milliseconds: most of it is soon asked for again. */
const lingerMs = 10_000;

/**
 * What is followed here. Each part is asked for in Redis once, however many follow it.
 *
 *   asked: nothing → (its followers come) → subscribed → (the tail at that time is learnt) → `since` is set
 */
export class Follows {
  readonly #exact = new Map<string, Part>();
  readonly #prefixes = new Map<string, Part>();
  /** What is to be asked for, and what has no follower: looked for among all, a hundred thousand parts took their time. */
  readonly #wanted = new Set<Part>();
  readonly #free = new Set<Part>();
  readonly #onWanted: () => void;
  #waiting: (() => void)[] = [];
  /** Whether everything is followed, what begins with "@" too: a log that is told nothing does that. */
  everything: Part | undefined;

  /** @param onWanted something is to be asked for */
  constructor(onWanted: () => void) {
    this.#onWanted = onWanted;
  }

  get isUsed(): boolean {
    return this.#exact.size > 0 || this.#prefixes.size > 0 || this.everything !== undefined;
  }

  follow(selection: Selection): Following {
    const parts = [
      ...selection.exact.map((name) => this.#part(this.#exact, name, false)),
      ...selection.prefixes.map((name) => this.#part(this.#prefixes, name, true)),
    ];
    for (const part of parts) {
      part.followers++;
      this.#free.delete(part);
    }
    if (this.#wanted.size > 0) this.#onWanted();
    let ended = false;
    const isLive = () => parts.every((part) => part.since !== undefined);
    return {
      get live() {
        return isLive();
      },
      end: () => {
        if (ended) return;
        ended = true;
        for (const part of parts) {
          if (--part.followers > 0) continue;
          part.freeSinceMs = Date.now();
          this.#free.add(part);
        }
      },
    };
  }

  followEverything(): void {
    this.everything = { ...newPart("", true), followers: 1 };
    this.#wanted.add(this.everything);
    this.#onWanted();
  }

  #part(parts: Map<string, Part>, name: string, isPrefix: boolean): Part {
    let part = parts.get(name);
    if (!part) {
      part = newPart(name, isPrefix);
      parts.set(name, part);
      this.#wanted.add(part);
    }
    return part;
  }

  *#all(): Generator<Part> {
    yield* this.#exact.values();
    yield* this.#prefixes.values();
    if (this.everything) yield this.everything;
  }

  /** What has not been asked for yet; it is taken for asked from now on. */
  takeWanted(): Topics & { readonly parts: readonly unknown[]; ready(since: number): void } {
    const parts = [...this.#wanted];
    this.#wanted.clear();
    for (const part of parts) part.asked = true;
    return {
      parts,
      exact: parts.filter(({ isPrefix }) => !isPrefix).map(({ name }) => name),
      prefixes: parts.filter(({ isPrefix }) => isPrefix).map(({ name }) => name),
      ready: (since) => {
        for (const part of parts) if (part.asked) part.since ??= since;
        this.wake();
      },
    };
  }

  /** What nobody has followed for a while: it is no longer followed. */
  takeUnwanted(): Topics {
    const beforeMs = Date.now() - lingerMs;
    const exact: string[] = [];
    const prefixes: string[] = [];
    for (const part of this.#free) {
      const { name, isPrefix, freeSinceMs, asked, since } = part;
      if (freeSinceMs > beforeMs) break; // in the order in which they became free
      if (asked && since === undefined) continue;
      this.#free.delete(part);
      this.#wanted.delete(part);
      (isPrefix ? this.#prefixes : this.#exact).delete(name);
      if (asked) (isPrefix ? prefixes : exact).push(name);
    }
    return { exact, prefixes };
  }

  /** Resolves the next time that something may have come. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** The connection has gone: all is to be asked for again. What came up to now has come, so `since` stays. */
  forgetAsked(): void {
    for (const part of this.#all()) {
      part.asked = false;
      this.#wanted.add(part);
    }
  }

  /** What came since the connection had gone may have been missed: nothing before this sequence is known to be here. */
  restart(since: number): void {
    for (const part of this.#all()) if (part.since !== undefined) part.since = since;
  }

  /** All that is followed and listened to, as one selection. */
  listened(): Topics {
    const live = (part: Part) => part.since !== undefined;
    return {
      exact: [...this.#exact.values()].filter(live).map(({ name }) => name),
      prefixes: [...this.#prefixes.values()].filter(live).map(({ name }) => name),
    };
  }

  /** Whether Redis was asked for the channel. */
  isAsked(channel: string): boolean {
    if (this.everything?.asked || this.#exact.get(channel)?.asked) return true;
    return this.#prefixes.size > 0 && prefixesOf(channel).some((prefix) => this.#prefixes.get(prefix)?.asked);
  }

  /** Behind which sequence all entries of a channel are known here; undefined when that is not so. */
  sinceOf(channel: string): number | undefined {
    let since = least(this.everything?.since, this.#exact.get(channel)?.since);
    if (this.#prefixes.size > 0)
      for (const prefix of prefixesOf(channel)) since = least(since, this.#prefixes.get(prefix)?.since);
    return since;
  }

  /** The same for a whole selection. */
  sinceOfAll({ exact, prefixes }: Selection): number | undefined {
    let since = 0;
    for (const name of exact) {
      const known = this.sinceOf(name);
      if (known === undefined) return undefined;
      since = Math.max(since, known);
    }
    for (const prefix of prefixes) {
      let known = least(this.everything?.since, this.#prefixes.get(prefix)?.since);
      for (const [wider, part] of this.#prefixes) if (prefix.startsWith(wider)) known = least(known, part.since);
      if (known === undefined) return undefined;
      since = Math.max(since, known);
    }
    return since;
  }

  /** Whether something of a selection is followed, and not known from the tail on yet. */
  isComing({ exact, prefixes }: Selection): boolean {
    const coming = (part: Part | undefined) => part !== undefined && part.followers > 0 && part.since === undefined;
    return (
      exact.some((name) => coming(this.#exact.get(name))) ||
      prefixes.some((prefix) => coming(this.#prefixes.get(prefix)))
    );
  }
}

const newPart = (name: string, isPrefix: boolean): Part => ({
  ...{ name, isPrefix, followers: 0, freeSinceMs: 0, asked: false, since: undefined },
});

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
