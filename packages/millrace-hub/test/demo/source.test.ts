import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createHub, type HubEvent, type Log, type Millrace } from "millrace";
import { openDiskLog } from "millrace/log/disk";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type DemoSource, publishWhileWatched } from "../../src/demo/source.js";

let folder: string;
let hub: Millrace;
const failures: string[] = [];
const noteFailure = ({ message }: Error) => failures.push(message);

async function start(): Promise<void> {
  hub = createHub({ log: await openDiskLog(folder) });
}

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "millrace-source-"));
  await start();
});

afterEach(async () => {
  expect(failures.splice(0)).toEqual([]);
  await hub.close({ drainMs: 0 });
  await rm(folder, { recursive: true });
});

const count: DemoSource = {
  name: "count",
  everyMs: 10,
  begin(recent) {
    let value = (recent.at(-1) as { value: number } | undefined)?.value ?? 100;
    return () => {
      value += 1;
      // With an `n` of its own, as of one that goes on from what it had published.
      return [{ event: "value", data: { ...(recent.at(-1) as object), value } }];
    };
  },
};

/** The first events from now on; `rewind`: from so far back. */
async function watch(many: number, rewind?: "all"): Promise<HubEvent[]> {
  const events: HubEvent[] = [];
  for await (const event of hub.subscribe({ channels: ["demo/count"], ...(rewind && { rewind }) })) {
    if (events.push(event) === many) break;
  }
  return events;
}

const dataOf = (events: readonly HubEvent[]) => events.map(({ data }) => data as { n: number; value: number });

test("it runs while it is watched, and numbers what it publishes from 1", async () => {
  publishWhileWatched(hub, count, noteFailure);
  expect(hub.stats().published).toBe(0);
  expect(dataOf(await watch(3))).toEqual([1, 2, 3].map((n) => ({ n, value: 100 + n })));
});

test("numbers and values go on over a restart, whatever visitors publish between", async () => {
  publishWhileWatched(hub, count, noteFailure);
  await watch(5);
  await hub.publish([
    { channel: "demo/count", data: { n: "no number" } },
    { channel: "demo/count", data: "text" },
    { channel: "demo/count", data: null },
    { channel: "demo/other", data: { n: 7 } },
  ]);
  await hub.close({ drainMs: 0 });
  await start();
  publishWhileWatched(hub, count, noteFailure);
  await watch(5);
  const all = dataOf(await watch(13, "all")).filter((data) => Number.isSafeInteger(data?.n));
  expect(all.map(({ n }) => n)).toEqual(all.map((_, at) => at + 1));
  expect(all.map(({ value }) => value)).toEqual(all.map((_, at) => at + 101));
});

test("a channel that begins has a backlog; one that goes on has what is missing of it", async () => {
  const times: number[] = [];
  const timed: DemoSource = {
    ...count,
    backlog: 8,
    everyMs: 50,
    begin: () => (time) => {
      times.push(time);
      return [{ event: "value", data: { time } }];
    },
  };
  const startedMs = Date.now();
  publishWhileWatched(hub, timed, noteFailure);
  const first = await watch(8);
  expect(first).toHaveLength(8);
  expect(times[0]).toBeGreaterThanOrEqual(startedMs - 8 * 50);
  for (const [at, time] of times.slice(1, 8).entries()) expect(time - (times[at] as number)).toBeGreaterThan(0);
  await hub.close({ drainMs: 0 });
  times.length = 0;
  await start();
  const untilMs = Date.now();
  publishWhileWatched(hub, timed, noteFailure);
  await watch(1);
  // Nothing is said twice about a time: it goes on behind the last event.
  expect(times[0]).toBeGreaterThan(startedMs);
  expect(times.filter((time) => time < untilMs).length).toBeLessThan(8);
});

test("one whose publish fails goes on when it can, and leaves no number out", async () => {
  publishWhileWatched(hub, count, noteFailure);
  await watch(2);
  const log = hub.log as { -readonly [Name in keyof Log]: Log[Name] };
  const append = log.append;
  log.append = async () => {
    throw new Error("the disk is full");
  };
  await vi.waitUntil(() => failures.length > 0, { timeout: 5_000 });
  log.append = append;
  await watch(3);
  const all = dataOf(await watch(5, "all"));
  expect(all.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5]);
  expect(failures.splice(0)).toEqual(["the disk is full"]);
});
