import { setTimeout as sleep } from "node:timers/promises";
import { createParser, type StreamEvent } from "millrace/protocol";
import { UsageError } from "./option.js";
import { endWithReader, printable, printLine, say } from "./output.js";
import { authorization, refusalOf, requestOf, type Target, unreachable } from "./request.js";
import { parseDuration } from "./values.js";

export interface SubscribeParts extends Target {
  readonly channels: readonly string[];
  readonly rewind: string | undefined;
  readonly lastEventId: string | undefined;
  /** Only the latest event of each key. */
  readonly conflate: boolean;
  /** At most one write in this time. */
  readonly everyMs: number | undefined;
  /** Print the envelope. */
  readonly json: boolean;
  /** End after so many events. */
  readonly count: number;
}

/** `--every` in milliseconds, within what a hub takes. */
export function parseEvery(text: string): number {
  const ms = parseDuration(text);
  if (Number.isInteger(ms) && ms >= 10 && ms <= 3_600_000) return ms;
  throw new Error("a time from 10ms to 1h, such as 250ms or 5s");
}

const maxWaitMs = 30_000;
const answerWithinMs = 30_000;
/** So many heartbeats may be late before a stream counts as dead. */
const lateHeartbeats = 3;

/** `subscribe`: prints the data of each event, one a line, and comes back to where it was when the stream ends. */
export async function runSubscribe(parts: SubscribeParts): Promise<number> {
  endWithReader();
  const { count } = parts;
  const address = addressOf(parts);
  let cursor = parts.lastEventId ?? "";
  let retryMs = 2000;
  let failures = 0;
  let printed = 0;
  let farewell = false;
  const ended = new AbortController();

  const take = ({ type, data, channel }: StreamEvent) => {
    if (type === "millrace.close") {
      const { reason, reconnect } = JSON.parse(data) as { reason: string; reconnect: boolean };
      farewell = !reconnect;
      if (farewell) say(`the hub has ended the stream: ${printable(reason)}`);
    } else if (type === "millrace.gap") say(`events are missing here: ${printable(data)}`);
    else if (type === "heartbeat" && channel === undefined)
      return; // the hub's own: a published one has a channel
    else if (printed < count) {
      printLine(printable(data));
      if (++printed === count) ended.abort();
    }
  };
  const parser = createParser({
    onEvent: (event) => {
      cursor = event.lastEventId;
      take(event);
    },
    onLastEventId: (id) => {
      cursor = id;
    },
    onRetry: (ms) => {
      retryMs = ms;
    },
  });

  while (!ended.signal.aborted && !farewell) {
    const watch = createWatch();
    try {
      const headers = {
        ...authorization(parts),
        accept: "text/event-stream",
        ...(cursor === "" ? {} : { "last-event-id": cursor }),
      };
      const signal = AbortSignal.any([ended.signal, watch.signal]);
      // The signal is not the request's own: undici holds that one weakly, and an abort got lost with it.
      const response = await fetch(requestOf(address, headers), { signal });
      if (response.status === 204) return 0;
      await checkStream(response);
      failures = 0;
      parser.reset();
      const heartbeatMs = Number(response.headers.get("millrace-heartbeat-ms"));
      for await (const chunk of response.body ?? []) {
        watch.expectWithin(heartbeatMs * lateHeartbeats);
        parser.feed(chunk);
      }
    } catch (error) {
      if (ended.signal.aborted) break;
      const problem = error instanceof UsageError ? error : unreachable(parts, error);
      if (problem instanceof UsageError) throw problem;
      if (failures === 0) say(`${problem.message}; trying again`);
      failures++;
    } finally {
      watch.stop();
    }
    if (farewell) break;
    await sleep(Math.min(maxWaitMs, retryMs * 1.5 ** Math.max(0, failures - 1)) * (0.5 + Math.random() / 2));
  }
  return 0;
}

function addressOf({ url, channels, rewind, conflate, everyMs, json }: SubscribeParts): string {
  const query = new URLSearchParams(channels.map((channel): [string, string] => ["channel", channel]));
  if (rewind !== undefined) query.set("rewind", rewind);
  if (conflate) query.set("conflate", "1");
  if (everyMs !== undefined) query.set("every", `${everyMs}ms`);
  if (json) query.set("format", "envelope");
  return `${url}/events?${query}`;
}

/** @throws UsageError when trying again would not help */
async function checkStream(response: Response): Promise<void> {
  if (!response.ok) {
    const reason = await refusalOf(response);
    throw response.status >= 500 || response.status === 429 ? new Error(reason) : new UsageError(reason);
  }
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    throw new UsageError(`${response.url} answers, but not as a hub does`);
  }
}

/** Aborts what brings nothing for too long: a hub that vanished without a word leaves its connections open. */
function createWatch() {
  const silent = new AbortController();
  const give = (ms: number) => setTimeout(() => silent.abort(new Error("nothing has come from it for too long")), ms);
  let timer = give(answerWithinMs);
  return {
    signal: silent.signal,
    /** 0: for ever. */
    expectWithin(ms: number) {
      clearTimeout(timer);
      if (ms > 0) timer = give(ms);
    },
    stop: () => clearTimeout(timer),
  };
}
