import type { Log } from "../log/index.js";
import { MillraceError, parseSelection, selectionOf } from "../protocol/index.js";
import { chunkBytes, decodeEntry } from "./form.js";
import type { Identity } from "./subscriber.js";

/** An event as a reader inside the program receives it. */
export interface HubEvent {
  readonly id: string;
  readonly channel: string;
  /** `message` when it was published without one. */
  readonly event: string;
  /** As it was published: a string, or what its JSON stands for. */
  readonly data: unknown;
  readonly key: string | undefined;
  readonly timeMs: number;
}

export interface ReadOptions {
  /** Names and `prefix/*`. */
  readonly channels: readonly string[];
  /** Adds the personal channels and roles of this identity. */
  readonly identity?: Identity;
  /** Read on behind this id. Default: from now on. */
  readonly lastEventId?: string;
  /** Begin so many events back, or with the oldest kept. */
  readonly rewind?: number | "all";
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
  /** Told when events are missing: `may` when that is not sure. */
  readonly onGap?: (gap: { readonly may: boolean; readonly channels: readonly string[] }) => void;
}

/** A cursor of the program's own: it reads the log when it is asked for the next event, and waits at the tail. */
export async function* readEvents(
  log: Log,
  wake: Wake,
  options: ReadOptions,
): AsyncGenerator<HubEvent, void, undefined> {
  const { identity = {}, lastEventId, rewind, signal, onGap } = options;
  const { exact, prefixes } = parseSelection(options.channels);
  const own = [...(identity.roles ?? []).map((role) => `@role/${role}`)];
  if (identity.user !== undefined) own.push(`@user/${identity.user}`);
  const selection = selectionOf([...exact, ...own], prefixes);
  if (rewind !== undefined && rewind !== "all" && !(Number.isSafeInteger(rewind) && rewind >= 0)) {
    throw new MillraceError("invalid_option", `rewind is "all" or a whole number, 0 or more: it is ${rewind}`);
  }
  let after = log.tail;
  let knownDrops = log.drops;
  if (lastEventId) {
    const { sequence, lost } = log.locate(lastEventId);
    after = sequence;
    knownDrops = lost === "no" ? -1 : log.drops;
    if (lost !== "no") onGap?.({ may: lost === "may", channels: [] });
  } else if (rewind !== undefined) after = rewind === "all" ? 0 : log.rewind(selection, rewind);
  while (!signal?.aborted) {
    const drops = log.drops;
    const { entries, next, gap } = await log.read({ selection, after, knownDrops, limitBytes: chunkBytes });
    if (gap) {
      knownDrops = drops;
      onGap?.(gap);
    }
    after = next;
    for (const entry of entries) {
      if (signal?.aborted) return;
      const { type, data, lastEventId: id } = decodeEntry(entry);
      const { channel, key, timeMs } = entry;
      yield { id, channel, event: type, data: entry.json ? JSON.parse(data) : data, key, timeMs };
    }
    if (after === log.tail) await wake.next(signal);
  }
}

/** Lets readers wait for the next commit. */
export class Wake {
  #waiting = new Set<() => void>();

  /** Resolves at the next commit, or when the signal fires. */
  next(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      if (signal?.aborted) return resolve();
      this.#waiting.add(done);
      signal?.addEventListener("abort", done);
    });
  }

  now(): void {
    for (const done of this.#waiting) done();
  }
}
