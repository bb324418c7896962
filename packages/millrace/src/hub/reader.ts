import type { Log, MaybePromise } from "../log/index.js";
import {
  type AnyEvents,
  checkOptionKinds,
  MillraceError,
  onAbort,
  parseSelection,
  type Selection,
  selectionOf,
} from "../protocol/index.js";
import { chunkBytes, decodeEntry } from "./form.js";
import type { Groups } from "./groups.js";
import { mannerOf } from "./manner.js";
import type { RunEnd } from "./run.js";
import type { Runs } from "./runs.js";
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

/** An event as a reader inside the program receives it: one of the map `E`, as far as publishers keep to it, or the end of a run. */
export type HubEvent<E extends object = AnyEvents> = string extends keyof E
  ? Received<string, unknown>
  : { [N in keyof E]: Received<N, E[N]> }[keyof E] | Received<"millrace.end", RunEnd>;

export interface ReadOptions {
  /** Names and `prefix/*`. */
  readonly channels: readonly string[];
  /** Adds the personal channel and roles of this identity. */
  readonly identity?: Pick<Identity, "user" | "roles">;
  /** Read on behind this id. Default: from now on. */
  readonly lastEventId?: string;
  /** Begin so many events back, or with the oldest kept. */
  readonly rewind?: number | "all";
  /** Of each key of a channel, give the latest event that is there only. Default false. */
  readonly conflate?: boolean;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
  /** Told when events are missing: `may` when that is not sure. */
  readonly onGap?: (gap: { readonly may: boolean; readonly channels: readonly string[] }) => void;
}

/**
 * A cursor of the program's own, placed at once: it reads the log when it is asked for the next event, and waits at the
 * tail. Leaving the loop, the signal, and the hub's end all end it, and so does the last run's end where it reads runs only.
 * @throws MillraceError `invalid_channel`, `invalid_option`
 */
export function readEvents(
  log: Log,
  wake: Wake,
  readers: Groups<never>,
  runs: Pick<Runs, "endOf">,
  options: ReadOptions,
): AsyncIterableIterator<HubEvent> {
  const { channels, identity = {}, lastEventId, rewind, conflate = false, signal, onGap } = options;
  checkOptionKinds("subscribe", { conflate }, { conflate: ["boolean"] });
  const { exact, prefixes } = parseSelection(channels);
  const own = roleChannels(identity);
  if (identity.user !== undefined) own.push(`@user/${identity.user}`);
  const selection = selectionOf([...exact, ...own], prefixes);
  if (rewind !== undefined && rewind !== "all" && !(Number.isSafeInteger(rewind) && rewind >= 0)) {
    throw new MillraceError("invalid_option", `rewind is "all" or a whole number, 0 or more: it is ${rewind}`);
  }
  const find = (): MaybePromise<Begin> => {
    const knownDrops = log.drops;
    if (lastEventId) {
      const { sequence: after, lost } = log.locate(lastEventId);
      if (lost === "no") return { after, knownDrops: -1 };
      onGap?.({ may: true, channels: [] });
      return { after, knownDrops };
    }
    const after = rewind === undefined ? log.tail : rewind === "all" ? 0 : log.rewind(selection, rewind);
    return after instanceof Promise ? after.then((found) => ({ after: found, knownDrops })) : { after, knownDrops };
  };
  // What its client was given by another node may not be known here yet.
  const begin = lastEventId && log.shared ? log.shared.refresh(lastEventId).then(find) : find();
  if (begin instanceof Promise) begin.catch(() => {}); // told to who asks for the first event
  const ended = new AbortController();
  const until = ended.signal;
  const reading = read({ log, wake, runs, selection, begin, conflate, until, onGap });
  const events = counted({ readers, selection, ended, signal, events: reading });
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

interface CountedParts {
  readonly readers: Groups<never>;
  readonly selection: Selection;
  /** Ends the reading. */
  readonly ended: AbortController;
  /** The application's: ends it, too. */
  readonly signal: AbortSignal | undefined;
  readonly events: AsyncGenerator<HubEvent>;
}

/** The same events, and their reader among the readers for as long as it reads. */
async function* counted({
  readers,
  selection,
  ended,
  signal,
  events,
}: CountedParts): AsyncGenerator<HubEvent, undefined, undefined> {
  const until = ended.signal;
  if (until.aborted || signal?.aborted) return;
  const forget = signal && onAbort(signal, () => ended.abort());
  const group = readers.join(selection, mannerOf({}));
  // By the signal, because a loop that was told by it may never ask for another event.
  const leave = () => readers.leave(group);
  until.addEventListener("abort", leave, { once: true });
  try {
    yield* events;
  } finally {
    forget?.();
    until.removeEventListener("abort", leave);
    if (!until.aborted) leave();
  }
}

/** Where a reader begins, and which drops it need not be told of. */
interface Begin {
  readonly after: number;
  readonly knownDrops: number;
}

interface ReadParts {
  readonly log: Log;
  readonly wake: Wake;
  readonly runs: Pick<Runs, "endOf">;
  readonly selection: Selection;
  readonly begin: MaybePromise<Begin>;
  readonly conflate: boolean;
  readonly until: AbortSignal;
  readonly onGap: ReadOptions["onGap"];
}

async function* read(parts: ReadParts): AsyncGenerator<HubEvent, undefined, undefined> {
  const { log, wake, runs, selection, conflate, until, onGap } = parts;
  const { shared } = log;
  let losses = shared?.losses;
  let { after, knownDrops } = parts.begin instanceof Promise ? await parts.begin : parts.begin;
  while (!until.aborted && !wake.closed) {
    const drops = log.drops;
    if (shared?.losses !== losses) {
      losses = shared?.losses;
      knownDrops = drops;
      onGap?.({ may: true, channels: [] });
    }
    const { entries, next, gap } = await log.read({ selection, after, knownDrops, conflate, limitBytes: chunkBytes });
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
    if (after >= runs.endOf(selection)) return;
    if (after === log.tail) await wake.next(until);
  }
}
