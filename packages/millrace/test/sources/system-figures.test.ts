import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { createHub } from "../../src/index.js";
import { requestMeter, type SystemFigures, systemFigures } from "../../src/sources/index.js";
import { until, within } from "../http/support/until.js";
import { noTimers, timers } from "./timers.js";

const everyMs = 20;
const counted = { connections: 1, users: 1, published: 0, deliveries: 0 };

/** Reads on until it is told to stop; `figures` is what it read. */
function reading(options: Parameters<typeof systemFigures>[0] = {}) {
  const ended = new AbortController();
  const figures: SystemFigures[] = [];
  const over = (async () => {
    for await (const one of systemFigures({ everyMs, signal: ended.signal, ...options })) figures.push(one);
  })();
  return {
    figures,
    over,
    stop: () => {
      ended.abort();
      return within("the end", over);
    },
  };
}

describe("systemFigures", () => {
  it("tells the machine's figures, fit to be an event's data", async () => {
    const hub = createHub();
    const read = hub.subscribe({ channels: ["system"] })[Symbol.asyncIterator]();
    for await (const figures of systemFigures({ everyMs })) {
      expect(JSON.parse(JSON.stringify(figures))).toEqual(figures);
      await hub.publish({ channel: "system", data: figures });
      break;
    }
    const { value } = await read.next();
    expect(Object.keys(value.data)).toEqual([
      ...["time", "cpu", "memory", "load", "network", "eventLoopDelayMs", "uptimeSeconds"],
    ]);
    await hub.close();
  });

  it("tells the figures of a hub and of its requests too", async () => {
    const http = requestMeter();
    const hub = createHub({ onAnswer: http.observe });
    const { figures, stop } = reading({ hub, http });
    await until("the first figures", () => figures.length > 0);
    expect(figures.at(-1)).toMatchObject({ connections: 0, users: 0, publishedPerSecond: 0, requestsPerSecond: 0 });
    const response = await hub.fetch(new Request("http://localhost/events?channel=news"));
    await hub.publish({ channel: "news", data: 1 });
    const most = (name: "publishedPerSecond" | "deliveriesPerSecond" | "requestsPerSecond" | "connections") =>
      Math.max(...figures.map((one) => one[name] ?? 0));
    await until("a delivery", () => most("deliveriesPerSecond") > 0 && most("connections") > 0);
    expect(most("publishedPerSecond")).toBeGreaterThan(0);
    expect(most("requestsPerSecond")).toBeGreaterThan(0);
    await stop();
    await response?.body?.cancel();
    await hub.close();
  });

  it("goes at several rates at once", async () => {
    const rates = [10, 20, 100];
    const all = rates.map((rate) => reading({ everyMs: rate }));
    await until("five of the slowest", () => (all[2]?.figures.length ?? 0) >= 5);
    await Promise.all(all.map(({ stop }) => stop()));
    const counts = all.map(({ figures }) => figures.length);
    // A machine that is busy with other things makes the fast ones miss some.
    expect(counts[0]).toBeGreaterThan(2 * 5);
    expect(counts[1]).toBeGreaterThan(1.5 * 5);
    expect(counts[0]).toBeGreaterThan(counts[1] ?? 0);
  });

  it("reads once for all who want the same, and for them only", async () => {
    let calls = 0;
    const hub = {
      stats() {
        calls++;
        return counted;
      },
    };
    const same = Array.from({ length: 50 }, () => reading({ hub }));
    const [first, second] = same;
    const other = reading({ hub: { stats: () => ({ ...counted, connections: 7 }) } });
    await until("three figures", () => [...same, other].every(({ figures }) => figures.length >= 3));
    expect(calls).toBeLessThanOrEqual(1 + Math.max(...same.map(({ figures }) => figures.length)));
    expect(first?.figures[1]).toBe(second?.figures[1]);
    expect(other.figures[0]?.connections).toBe(7);

    await first?.stop();
    const had = second?.figures.length ?? 0;
    await until("the others to go on", () => (second?.figures.length ?? 0) > had + 1);
    expect(first?.figures.length).toBeLessThan(second?.figures.length ?? 0);
    await Promise.all([...same, other].map(({ stop }) => stop()));
    const after = calls;
    await delay(3 * everyMs);
    expect(calls).toBe(after);
  });

  it("starts with the iteration and ends with it", async () => {
    let calls = 0;
    const hub = {
      stats() {
        calls++;
        return counted;
      },
    };
    const source = systemFigures({ everyMs: 3_600_000, hub });
    await delay(5);
    expect(calls).toBe(0);
    await noTimers();
    const figures = source[Symbol.asyncIterator]();
    const next = figures.next();
    await until("a timer", () => timers() === 1);
    await within("the end", Promise.resolve(figures.return?.()));
    expect((await next).done).toBe(true);
    await noTimers();
    for await (const _ of systemFigures({ everyMs: 1, hub })) break;
    await noTimers();
  });

  it("lets a slow consumer miss ticks", async () => {
    const times: string[] = [];
    for await (const { time } of systemFigures({ everyMs: 5 })) {
      if (times.push(time) === 4) break;
      await delay(40);
    }
    const gaps = times.slice(1).map((time, at) => Date.parse(time) - Date.parse(times[at] ?? ""));
    expect(Math.min(...gaps)).toBeGreaterThan(30); // a queue would hand out old ones, 5 ms apart
  });

  it("tells all readers what the hub throws, and begins anew for later ones", async () => {
    let broken = false;
    const hub = {
      stats() {
        if (broken) throw new Error("no stats");
        return counted;
      },
    };
    const readers = [reading({ hub }), reading({ hub })];
    const slow = systemFigures({ everyMs, hub })[Symbol.asyncIterator]();
    await slow.next();
    broken = true;
    for (const { over } of readers) await expect(within("the error", over)).rejects.toThrow("no stats");
    await expect(slow.next()).rejects.toThrow("no stats");
    broken = false;
    for await (const { connections } of systemFigures({ everyMs, hub })) {
      expect(connections).toBe(1);
      break;
    }
  });

  it("leaves nothing behind", async () => {
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const { signal } = new AbortController();
    const work = async (rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        const all = Array.from({ length: 200 }, async (_, at) => {
          for await (const _ of systemFigures({ everyMs: 1 + (at % 3), signal })) break;
        });
        await Promise.all(all);
      }
      collect();
      return process.memoryUsage();
    };
    await work(10);
    const before = await work(10);
    const after = await work(40);
    expect(after.heapUsed - before.heapUsed).toBeLessThan(500_000);
    expect(after.external - before.external).toBeLessThan(500_000);
  });

  it("refuses a rate that is none", () => {
    expect(() => systemFigures({ everyMs: 0 })).toThrow(expect.objectContaining({ code: "invalid_option" }));
  });
});
