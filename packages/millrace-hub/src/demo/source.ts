import type { Millrace } from "millrace";
import { createParser, parseSelection } from "millrace/protocol";
import { every } from "millrace/sources";

/** An event of a source. The frame around it adds the channel and `n`. */
export interface SourceEvent {
  readonly event: string;
  readonly key?: string;
  readonly data: object;
}

/** A part of the demo's world: what happens on the channel `demo/<name>`, while somebody watches it. */
export interface DemoSource {
  readonly name: string;
  readonly everyMs: number;
  /** Rounds that are made up for when the channel begins, or begins again: a page that opens has something to show. Default 0. */
  readonly backlog?: number;
  /**
   * Begins, or goes on from what it published last: `recent`, oldest first. Answers with what makes a round; the time is
   * that of the round, in milliseconds since 1970.
   */
  readonly begin: (recent: readonly unknown[]) => (timeMs: number) => readonly SourceEvent[];
}

interface Kept {
  readonly n: number;
  readonly data: unknown;
  readonly timeMs: number;
}

/** How many events back a source looks for what it was about. More may lie between where visitors publish, too. */
const lookedBack = 1000;
/** After a publish that failed, as on a full disk. */
const pauseMs = 2000;

/** Publishes what the source makes while its channel is watched. Each event has `n`, which goes on over a restart. */
export function publishWhileWatched(hub: Millrace, source: DemoSource, onFailure: (error: Error) => void): void {
  hub.whileWatched(`demo/${source.name}`, async ({ channel, signal }) => {
    for await (const _ of every(pauseMs, () => true, { signal })) {
      try {
        await produce(hub, source, channel, signal);
      } catch (error) {
        if (!signal.aborted) onFailure(error as Error); // and from what the log has now, whatever became of the publish
      }
    }
  });
}

async function produce(hub: Millrace, source: DemoSource, channel: string, signal: AbortSignal): Promise<void> {
  const { everyMs, backlog = 0 } = source;
  const recent = await recentOf(hub, channel);
  const last = recent.at(-1);
  const makeRound = source.begin(recent.map(({ data }) => data));
  let n = last?.n ?? 0;
  const publish = async (events: readonly SourceEvent[]) => {
    if (events.length === 0) return;
    await hub.publish(events.map((event, at) => ({ ...event, channel, data: { ...event.data, n: n + at + 1 } })));
    n += events.length;
  };
  const nowMs = Date.now();
  const madeUp: SourceEvent[] = [];
  const fromMs = Math.max((last?.timeMs ?? 0) + everyMs, nowMs - backlog * everyMs);
  for (let timeMs = fromMs; timeMs < nowMs; timeMs += everyMs) madeUp.push(...makeRound(timeMs));
  await publish(madeUp);
  for await (const timeMs of every(everyMs, () => Date.now(), { signal })) await publish(makeRound(timeMs));
}

/** What sources have published last on the channel, oldest first; what visitors have has no `n`. */
async function recentOf({ log }: Millrace, channel: string): Promise<Kept[]> {
  const kept: Kept[] = [];
  let entryMs = 0;
  const parser = createParser({
    onEvent({ data: text }) {
      const data = JSON.parse(text);
      if (Number.isSafeInteger(data?.n)) kept.push({ n: data.n, data, timeMs: entryMs });
    },
  });
  const selection = parseSelection([channel]);
  let after = await log.rewind(selection, lookedBack);
  while (after < log.tail) {
    const { entries, next } = await log.read({ selection, after, limitBytes: 1024 * 1024 });
    for (const { json, timeMs, bytes, start, end } of entries) {
      entryMs = timeMs;
      if (json) parser.feed(bytes.subarray(start, end));
    }
    after = next;
  }
  return kept;
}
