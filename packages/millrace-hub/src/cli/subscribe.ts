import { setTimeout as sleep } from "node:timers/promises";
import { createParser, type StreamEvent } from "millrace/protocol";
import { UsageError } from "./option.js";
import { authorization, printable, refusalOf, type Target, unreachable } from "./request.js";

export interface SubscribeParts extends Target {
  readonly channels: readonly string[];
  readonly rewind: string | undefined;
  readonly lastEventId: string | undefined;
  /** Print the envelope. */
  readonly json: boolean;
  /** End after so many events. */
  readonly count: number;
}

const maxWaitMs = 30_000;

/** `subscribe`: prints the data of each event, one a line, and comes back to where it was when the stream ends. */
export async function runSubscribe(parts: SubscribeParts): Promise<number> {
  const { url, channels, rewind, json, count } = parts;
  const query = new URLSearchParams(channels.map((channel): [string, string] => ["channel", channel]));
  if (rewind !== undefined) query.set("rewind", rewind);
  if (json) query.set("format", "envelope");
  let cursor = parts.lastEventId ?? "";
  let retryMs = 2000;
  let failures = 0;
  let printed = 0;
  let farewell = false;
  const ended = new AbortController();
  const take = ({ type, data }: StreamEvent) => {
    if (type === "millrace.close") farewell = !(JSON.parse(data) as { reconnect: boolean }).reconnect;
    else if (type === "millrace.gap")
      process.stderr.write(`millrace-hub: events are missing here: ${printable(data)}\n`);
    else if (type !== "heartbeat" && printed < count) {
      process.stdout.write(`${printable(data)}\n`);
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
    try {
      const headers = {
        ...authorization(parts),
        accept: "text/event-stream",
        ...(cursor === "" ? {} : { "last-event-id": cursor }),
      };
      const response = await fetch(`${url}/events?${query}`, { headers, signal: ended.signal });
      if (response.status === 204) return 0;
      const final = response.status < 500 && response.status !== 429;
      if (!response.ok && final) throw new UsageError(await refusalOf(response));
      if (!response.ok) throw new Error(await refusalOf(response));
      failures = 0;
      parser.reset();
      for await (const chunk of response.body ?? []) parser.feed(chunk);
    } catch (error) {
      if (ended.signal.aborted) break;
      if (error instanceof UsageError) throw error;
      if (failures === 0) process.stderr.write(`millrace-hub: ${unreachable(parts, error).message}; trying again\n`);
      failures++;
    }
    if (farewell) break;
    await sleep(Math.min(maxWaitMs, retryMs * 1.5 ** Math.max(0, failures - 1)) * (0.5 + Math.random() / 2));
  }
  return 0;
}
