import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../option.js";
import { refusalOf, unreachable } from "../request.js";
import type { Marker } from "./marker.js";

export interface Publishing {
  readonly address: string;
  readonly channel: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Events a second. */
  readonly rate: number;
  /** Bytes of an event's data. */
  readonly bytes: number;
  readonly marker: Marker;
}

export interface Publisher {
  /** How many events were accepted so far. */
  published(): number;
  /** Resolves when the last answer has come. Rejects with a UsageError when the hub will never accept them. */
  stop(): Promise<void>;
  /** Rejects as `stop` does, as soon as that is known. */
  readonly done: Promise<void>;
}

/** Most of what goes into one request: what falls due while the one before is on its way goes with the next. */
const batchEvents = 500;
const batchBytes = 256 * 1024;
const later = [429, 502, 503, 504, 507];

/**
 * Publishes at a steady rate, one request at a time, so that events are accepted in the order of their numbers. What was
 * refused for now keeps its numbers, and what got no answer is sent again with its key: each number is published once.
 */
export function startPublisher({ address, channel, headers, rate, bytes, marker }: Publishing): Publisher {
  const stopping = new AbortController();
  const pause = (ms: number) => sleep(ms, undefined, { signal: stopping.signal }).catch(() => {});
  const most = Math.max(1, Math.min(batchEvents, Math.floor(batchBytes / bytes)));
  let published = 0;

  const send = async (count: number): Promise<void> => {
    const lines = Array.from({ length: count }, (_, at) =>
      JSON.stringify({ channel, data: marker.write(published + at, bytes) }),
    );
    const own = { ...headers, "content-type": "application/x-ndjson", "idempotency-key": randomUUID() };
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(address, { method: "POST", headers: own, body: lines.join("\n") }).catch((error) => {
        const problem = unreachable({ url: address, apiKey: undefined }, error);
        if (problem instanceof UsageError || attempt === 5) throw new UsageError(problem.message);
      });
      if (response?.ok) {
        await response.text();
        published += count;
        return;
      }
      if (response && !later.includes(response.status)) throw new UsageError(await refusalOf(response));
      await response?.body?.cancel();
      if (stopping.signal.aborted) return;
      await pause(Number(response?.headers.get("retry-after") ?? 0) * 1000 || 200 * 2 ** attempt);
      if (response) return; // nothing was kept: these numbers go with the next request
    }
  };

  const run = async () => {
    const beganMs = performance.now();
    while (!stopping.signal.aborted) {
      const nowMs = performance.now();
      const due = Math.floor(((nowMs - beganMs) / 1000) * rate) + 1 - published;
      if (due > 0) await send(Math.min(due, most));
      else await pause(beganMs + (published / rate) * 1000 - nowMs);
    }
  };
  const done = run();
  done.catch(() => {}); // whoever waits for it hears of it
  return {
    published: () => published,
    done,
    stop() {
      stopping.abort();
      return done;
    },
  };
}
