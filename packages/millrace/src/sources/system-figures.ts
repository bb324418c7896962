import { checkMs } from "./check.js";
import { every } from "./every.js";
import { iterable, unlessAborted } from "./iteration.js";
import { createSampler, type FigureSources, type SystemFigures } from "./machine/sampler.js";

export interface SystemFiguresOptions extends FigureSources {
  /** How often, in milliseconds, at least 1. Default 1,000. */
  readonly everyMs?: number | undefined;
  /** Ends all iterations. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Live figures of the machine: CPU, memory, network, load, event-loop delay; with `hub`, also its connections, users and
 * rates; with `http`, also requests, errors and response times. Each is fit to be an event's data:
 *
 *     for await (const figures of systemFigures()) await stream.send({ event: "system", data: figures });
 *
 * Rates are over the time since the figures before. There is nothing to say at the start: the first come with the next
 * tick. All who read the same sources at the same rate share one reading, so treat it as read-only. Nothing is measured
 * while nobody iterates; a slow consumer misses ticks.
 * @throws MillraceError `invalid_option`; the iteration throws what `hub.stats()` does
 */
export function systemFigures(options: SystemFiguresOptions = {}): AsyncIterable<SystemFigures> {
  const { everyMs = 1000, hub, http, signal } = options;
  checkMs("everyMs", everyMs, 1);
  return iterable(async function* (until) {
    const feed = join({ everyMs, hub, http });
    until.addEventListener("abort", () => leave(feed));
    while (!until.aborted) {
      const figures = await unlessAborted(feed.next(), until);
      if (figures === undefined) return;
      yield figures;
    }
  }, signal);
}

interface FeedOptions extends FigureSources {
  readonly everyMs: number;
}

/** One reading of the figures for all who want the same. */
interface Feed extends FeedOptions {
  readers: number;
  next(): Promise<SystemFigures | undefined>;
  close(): void;
}

/**
 * Those that are read. When each iteration had a sampler of its own, a thousand dashboards cost 12 KB each and a fiftieth
 * of a core in the timers of the event-loop delay alone, and the same files were read a thousand times a second.
 */
const feeds: Feed[] = [];

function join(options: FeedOptions): Feed {
  const { everyMs, hub, http } = options;
  let feed = feeds.find((other) => other.everyMs === everyMs && other.hub === hub && other.http === http);
  if (!feed) {
    feed = openFeed(options);
    feeds.push(feed);
  }
  feed.readers++;
  return feed;
}

function leave(feed: Feed): void {
  if (--feed.readers > 0) return;
  feeds.splice(feeds.indexOf(feed), 1);
  feed.close();
}

function openFeed({ everyMs, hub, http }: FeedOptions): Feed {
  const sampler = createSampler({ hub, http });
  let begun = false;
  const sample = () => {
    if (begun) return sampler.sample();
    begun = true;
    return undefined;
  };
  const ticks = every(everyMs, sample)[Symbol.asyncIterator]();
  let pending: Promise<SystemFigures | undefined> | undefined;
  const next = async () => {
    // After an error it stays pending, so that slow readers too are told of it.
    const { done, value } = await ticks.next();
    pending = undefined;
    return done ? undefined : value;
  };
  return {
    ...{ everyMs, hub, http, readers: 0 },
    next() {
      pending ??= next();
      return pending;
    },
    close() {
      ticks.return?.();
      sampler.close();
    },
  };
}
