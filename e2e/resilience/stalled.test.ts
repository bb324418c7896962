/**
 * Clients that stop reading cost the hub no memory, slow nobody else down, and read on later: what is still kept, after
 * one gap for what is not, and then what is new.
 */
import { once } from "node:events";
import http2 from "node:http2";
import { afterEach, describe, expect, test } from "vitest";
import { type HubProcess, startHub } from "../support/hub.js";
import { Publisher } from "../support/publisher.js";
import { ask, type Block, BlockReader, openStream, type RawStream } from "../support/raw.js";
import { until } from "../support/until.js";
import { anonymousMemory, watchMemory } from "./support/proc.js";
import { long, median, scaled } from "./support/scale.js";

const mebibyte = 1024 * 1024;
const eventBytes = 16 * 1024;
const eventsPerRequest = 32;
const filler = "x".repeat(eventBytes - 40);
const timeout = long ? 600_000 : 60_000;

type Protocol = "HTTP/1.1" | "HTTP/2";
type Pausable = Pick<RawStream, "pause" | "resume" | "destroy">;

/** Opens a stream over HTTP/2, on a connection of its own. Paused, it says by its window that no more may be sent. */
async function openHttp2(url: string, path: string, onBlock: (block: Block) => void): Promise<Pausable> {
  const session = http2.connect(url);
  session.on("error", () => {});
  const stream = session.request({ ":path": path });
  const reader = new BlockReader();
  stream.on("error", () => {});
  stream.on("data", (bytes: Buffer) => reader.feed(bytes).forEach(onBlock));
  await once(stream, "response");
  return { pause: () => stream.pause(), resume: () => stream.resume(), destroy: () => session.destroy() };
}

/** What one stream was given, with only the numbers of the events kept. */
class Record {
  readonly numbers: number[] = [];
  readonly gaps: { readonly after: number; readonly data: unknown }[] = [];
  readonly delaysMs: number[] = [];
  readonly others: string[] = [];
  closed = false;
  stream: Pausable | undefined;

  readonly take = ({ event, data }: Block): void => {
    if (data === undefined) return;
    if (event === "millrace.gap") {
      this.gaps.push({ after: this.numbers.length, data: JSON.parse(data) });
      return;
    }
    if (event !== undefined) {
      this.others.push(event);
      return;
    }
    const [number, timeMs] = data.split(" ", 2).map(Number);
    this.numbers.push(number as number);
    this.delaysMs.push(Date.now() - (timeMs as number));
  };

  async open(hub: HubProcess, path: string, protocol: Protocol = "HTTP/1.1"): Promise<this> {
    if (protocol === "HTTP/2") {
      this.stream = await openHttp2(hub.url, path, this.take);
      return this;
    }
    const listener = { onBlock: this.take, onEnd: () => (this.closed = true) };
    this.stream = await openStream(hub.url, path, {}, listener);
    return this;
  }

  get last(): number {
    return this.numbers.at(-1) ?? -1;
  }
}

/**
 * Publishes numbered events; answers with how many there are then. It goes no faster than `pace` reads: where little is
 * kept, a test that is slow itself would be told of gaps.
 */
async function publish(hub: HubProcess, first: number, bytes: number, pace?: Record): Promise<number> {
  const publisher = new Publisher(hub.url);
  let next = first;
  while ((next - first) * eventBytes < bytes) {
    const events = Array.from({ length: eventsPerRequest }, () => ({
      channel: "flood",
      data: `${next++} ${Date.now()} ${filler}`,
    }));
    await publisher.publish(events, `flood-${next}`);
    if (!pace) continue;
    await until(
      () => `the one that reads keeps up: ${pace.last} of ${next}`,
      () => next - pace.last < 4 * eventsPerRequest,
      10_000,
    );
  }
  publisher.stop();
  return next;
}

const countUp = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);

/** What it was given is a run without a hole, then, after the one gap, another that reaches the end. */
function expectOneGap(record: Record, firstKept: number, end: number): void {
  const { numbers, gaps } = record;
  const before = gaps[0]?.after ?? 0;
  const first = numbers[0] as number;
  expect(numbers.slice(0, before)).toEqual(countUp(first, first + before));
  expect(first + before).toBeLessThan(firstKept);
  expect(numbers.slice(before)).toEqual(countUp(firstKept, end));
  expect(gaps).toEqual([{ after: before, data: { reason: "dropped", may: false, channels: ["flood"] } }]);
}

/** One that is given something now and then, as the kernel takes it, may miss events several times: each time it is told. */
function expectGapsTold({ numbers, gaps }: Record, start: number, firstKept: number, end: number): void {
  const holes = numbers.flatMap((number, at) => (number === (numbers[at - 1] ?? start - 1) + 1 ? [] : [at]));
  expect(gaps.map(({ after }) => after)).toEqual(holes);
  expect(holes.length).toBeGreaterThanOrEqual(1);
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  expect(numbers.filter((number) => number >= firstKept)).toEqual(countUp(firstKept, end));
}

/** The oldest event that the hub still has: somebody else is asked, not the stalled client. */
async function oldestKept(hub: HubProcess): Promise<number> {
  const record = await new Record().open(hub, "/events?channel=flood&rewind=all");
  await until(
    () => "one who reads all that is kept is given something",
    () => record.numbers.length > 0,
    10_000,
  );
  record.stream?.destroy();
  return record.numbers[0] as number;
}

async function statesOf(hub: HubProcess): Promise<string[]> {
  const { connections } = JSON.parse((await ask(hub.url, "/connections")).body.toString()) as {
    connections: { state: string }[];
  };
  return connections.map(({ state }) => state);
}

describe("a client that stops reading", () => {
  const open: Record[] = [];
  afterEach(() => {
    for (const record of open.splice(0)) record.stream?.destroy();
  });
  const follow = async (hub: HubProcess, protocol?: Protocol): Promise<Record> => {
    const record = await new Record().open(hub, "/events?channel=flood", protocol);
    open.push(record);
    return record;
  };

  test.for<Protocol>(["HTTP/1.1", "HTTP/2"])(
    "costs no memory, slows nobody, and reads on where it was: %s",
    { timeout },
    async (protocol) => {
      await using hub = await startHub(["--heartbeat", "2s", "--log-level", "warn"]);
      const healthy = await follow(hub);
      let end = await publish(hub, 0, 48 * mebibyte);
      const usualMs = median(healthy.delaysMs.splice(0));

      const stalled = await follow(hub, protocol);
      stalled.stream?.pause();
      const startMemory = anonymousMemory(hub.pid);
      const memory = watchMemory(hub.pid);
      end = await publish(hub, end, scaled({ short: 150, long: 1024 }) * mebibyte);
      await until(
        () => `the one that reads has all ${end} events: ${healthy.last + 1}`,
        () => healthy.last === end - 1,
        5000,
      );
      memory.stop();
      const grown = memory.most() - startMemory;
      const besideMs = median(healthy.delaysMs);
      console.log(
        `memory ${startMemory.toFixed(0)} MiB, at most ${grown.toFixed(0)} more; delay ${usualMs} ms, beside it ${besideMs}`,
      );
      expect(grown).toBeLessThan(100);
      expect(healthy.numbers).toEqual(countUp(0, end));
      expect(healthy.gaps).toEqual([]);
      expect(besideMs).toBeLessThan(usualMs * 2 + 10);
      expect((await statesOf(hub)).sort()).toEqual(["full", "live"]);

      const firstKept = await oldestKept(hub);
      expect(firstKept).toBeGreaterThan(0);
      stalled.stream?.resume();
      await until(
        () => `it reads to the end, ${end}: ${stalled.last + 1}`,
        () => stalled.last === end - 1,
        30_000,
      );
      expectOneGap(stalled, firstKept, end);

      const more = await publish(hub, end, mebibyte);
      await until(
        () => `it is given what is new: ${stalled.last + 1} of ${more}`,
        () => stalled.last === more - 1,
        5000,
      );
      expect(stalled.gaps).toHaveLength(1);
      expect(stalled.numbers.slice(end - more)).toEqual(countUp(end, more));
      await until(
        () => "both are live again",
        async () => (await statesOf(hub)).every((state) => state === "live"),
        5000,
      );
      expect(stalled.others).toEqual([]);
      expect(stalled.closed).toBe(false);
    },
  );

  test("is told of no gap when all is kept", { timeout }, async () => {
    await using hub = await startHub(["--log-level", "warn"]);
    const stalled = await follow(hub);
    stalled.stream?.pause();
    const end = await publish(hub, 0, 32 * mebibyte);
    expect(await statesOf(hub)).toEqual(["full"]);
    stalled.stream?.resume();
    await until(
      () => `it reads to the end, ${end}: ${stalled.last + 1}`,
      () => stalled.last === end - 1,
      20_000,
    );
    expect(stalled.numbers).toEqual(countUp(0, end));
    expect(stalled.gaps).toEqual([]);
  });

  test("costs no memory either when there are many", { timeout }, async () => {
    const clients = scaled({ short: 50, long: 500 });
    await using hub = await startHub(["--retention-channel-bytes", "8MiB", "--log-level", "warn"]);
    const healthy = await follow(hub);
    const warm = await publish(hub, 0, 48 * mebibyte, healthy);
    const stalled: Record[] = [];
    for (let at = 0; at < clients; at++) stalled.push(await follow(hub));
    let end = await publish(hub, warm, mebibyte, healthy);
    await until(
      () => "all have the first events",
      () => stalled.every(({ last }) => last === end - 1),
      20_000,
    );
    for (const { stream } of stalled) stream?.pause();
    const startMemory = anonymousMemory(hub.pid);
    const memory = watchMemory(hub.pid);
    end = await publish(hub, end, scaled({ short: 32, long: 256 }) * mebibyte, healthy);
    await until(
      () => `the one that reads has all ${end} events: ${healthy.last + 1}`,
      () => healthy.last === end - 1,
      10_000,
    );
    const states = await statesOf(hub);
    expect(states.filter((state) => state === "full")).toHaveLength(clients);
    const stalledMemory = memory.most() - startMemory;
    const firstKept = await oldestKept(hub);
    for (const { stream } of stalled) stream?.resume();
    await until(
      () => `all read to the end: ${stalled.filter(({ last }) => last === end - 1).length} of ${clients}`,
      () => stalled.every(({ last }) => last === end - 1),
      scaled({ short: 20_000, long: 120_000 }),
    );
    memory.stop();
    const grown = memory.most() - startMemory;
    console.log(
      `${clients} stalled: memory ${startMemory.toFixed(0)} MiB, at most ${stalledMemory.toFixed(0)} more, ` +
        `${grown.toFixed(0)} more while they catch up`,
    );
    expect(grown).toBeLessThan(100);
    for (const record of stalled) expectGapsTold(record, warm, firstKept, end);
    expect(healthy.numbers).toEqual(countUp(0, end));
    expect(healthy.gaps).toEqual([]);
  });
});
