import type { Log } from "../log/index.js";
import { type AnyEvents, MillraceError, parseSelection, type Selection, selectionOf } from "../protocol/index.js";
import { chunkBytes, decodeEntry } from "./form.js";
import type { Groups } from "./groups.js";
import { type Identity, roleChannels } from "./subscriber.js";
import type { Wake } from "./wake.js";

interface Received<N, D> {
  readonly id: string;
  readonly channel: string;
  /** `message` when it was published without one. */
  readonly event: N;
  /** A string with its line ends as LF, or what its JSON stands for. */
  readonly data: D;
  readonly key: string | undefined;
  readonly timeMs: number;
}

/** An event as a reader inside the program receives it: one of the map `E`, as far as publishers keep to it. */
export type HubEvent<E extends object = AnyEvents> = string extends keyof E
  ? Received<string, unknown>
  : { [N in keyof E]: Received<N, E[N]> }[keyof E];

export interface ReadOptions {
  /** Names and `prefix/*`. */
  readonly channels: readonly string[];
  /** Adds the personal channel and roles of this identity. */
  readonly identity?: Pick<Identity, "user" | "roles">;
  /** Read on behind this id. Default: from now on. */
  readonly lastEventId?: string;
  /** Begin so many events back, or with the oldest kept. */
  readonly rewind?: number | "all";
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
  /** Told when events are missing: `may` when that is not sure. */
  readonly onGap?: (gap: { readonly may: boolean; readonly channels: readonly string[] }) => void;
}

/**
 * A cursor of the program's own, placed at once: it reads the log when it is asked for the next event, and waits at the
 * tail. Leaving the loop, the signal, and the hub's end all end it.
 * @throws MillraceError `invalid_channel`, `invalid_option`
 */
export function readEvents(
  log: Log,
  wake: Wake,
  readers: Groups<never>,
  options: ReadOptions,
): AsyncIterableIterator<HubEvent> {
  const { channels, identity = {}, lastEventId, rewind, signal, onGap } = options;
  const { exact, prefixes } = parseSelection(channels);
  const own = roleChannels(identity);
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
    if (lost === "no") knownDrops = -1;
    else onGap?.({ may: true, channels: [] });
  } else if (rewind !== undefined) after = rewind === "all" ? 0 : log.rewind(selection, rewind);
  const ended = new AbortController();
  const until = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
  const events = counted(readers, selection, until, read({ log, wake, selection, after, knownDrops, until, onGap }));
  return {
    next: () => events.next(),
    // A generator that waits would hear of its end at the next event only.
    return: () => {
      ended.abort();
      return events.return(undefined);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** The same events, and their reader among the readers for as long as it reads. */
async function* counted(
  readers: Groups<never>,
  selection: Selection,
  until: AbortSignal,
  events: AsyncGenerator<HubEvent>,
): AsyncGenerator<HubEvent, undefined, undefined> {
  if (until.aborted) return;
  const group = readers.join(selection, "event");
  // By the signal, because a loop that was told by it may never ask for another event.
  const leave = () => readers.leave(group);
  until.addEventListener("abort", leave, { once: true });
  try {
    yield* events;
  } finally {
    until.removeEventListener("abort", leave);
    if (!until.aborted) leave();
  }
}

interface ReadParts {
  readonly log: Log;
  readonly wake: Wake;
  readonly selection: Selection;
  readonly after: number;
  readonly knownDrops: number;
  readonly until: AbortSignal;
  readonly onGap: ReadOptions["onGap"];
}

async function* read(parts: ReadParts): AsyncGenerator<HubEvent, undefined, undefined> {
  const { log, wake, selection, until, onGap } = parts;
  let { after, knownDrops } = parts;
  while (!until.aborted && !wake.closed) {
    const drops = log.drops;
    const { entries, next, gap } = await log.read({ selection, after, knownDrops, limitBytes: chunkBytes });
    if (gap) {
      knownDrops = drops;
      onGap?.(gap);
    }
    after = next;
    for (const entry of entries) {
      if (until.aborted) return;
      const { type, data, lastEventId: id } = decodeEntry(entry);
      const { channel, key, timeMs } = entry;
      yield { id, channel, event: type, data: entry.json ? JSON.parse(data) : data, key, timeMs };
    }
    if (after === log.tail) await wake.next(until);
  }
}
