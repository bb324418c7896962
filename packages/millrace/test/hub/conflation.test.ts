import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type ConnectOptions, Hub, type HubOptions } from "../../src/hub/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import { parsePosition, parseSelection, selects } from "../../src/protocol/index.js";
import { until } from "../http/support/until.js";
import { mulberry } from "../mulberry.js";
import { RecordingSink } from "./recording-sink.js";

function start(options: Partial<HubOptions> = {}) {
  const log = createMemoryLog();
  const errors: unknown[] = [];
  const hub = new Hub({ log, heartbeatMs: 0, onError: (error) => errors.push(error), ...options });
  const connect = (options: Partial<ConnectOptions> & { channels?: string[] } = {}) => {
    const sink = new RecordingSink();
    const { channels = ["a"], ...more } = options;
    return { sink, subscriber: hub.connect({ selection: parseSelection(channels), ...more }, () => sink) };
  };
  const tick = (key: string | undefined, data: unknown, channel = "a") =>
    hub.publish({ channel, data, ...(key === undefined ? {} : { key }) });
  return { hub, log, errors, connect, tick, [Symbol.asyncDispose]: () => hub.close({ drainMs: 0 }) };
}

const dataOf = ({ events }: RecordingSink) => events.map(({ data }) => data).join(" ");
const sequenceOf = (id: string) => parsePosition(id)?.sequence as number;

describe("conflate", () => {
  test("gives of what is published at once the latest of each key, and leaves others their all", async () => {
    await using all = start();
    const conflated = all.connect({ channels: ["a", "b"], conflate: true });
    const plain = all.connect({ channels: ["a", "b"] });
    const event = (channel: string, key: string | undefined, data: string) => ({
      ...{ channel, data },
      ...(key === undefined ? {} : { key }),
    });
    await all.hub.publish([
      event("a", "k", "1"),
      event("a", undefined, "2"),
      event("b", "k", "3"),
      event("a", "k", "4"),
      event("a", undefined, "5"),
    ]);
    await until("all is written", () => conflated.sink.events.length >= 4 && plain.sink.events.length === 5);
    expect(dataOf(conflated.sink)).toBe("2 3 4 5");
    expect(dataOf(plain.sink)).toBe("1 2 3 4 5");
    expect(all.hub.stats().groups).toBe(2);
  });

  test("gives personal events their place, conflated too", async () => {
    await using all = start();
    const { sink } = all.connect({ conflate: true, identity: { user: "ann" } });
    await all.hub.publish([
      { channel: "@user/ann", key: "k", data: "1" },
      { channel: "a", key: "k", data: "2" },
      { channel: "@user/ann", key: "k", data: "3" },
      { channel: "a", key: "k", data: "4" },
      { channel: "@user/ann", data: "5" },
    ]);
    await until("all is written", () => sink.events.length >= 3);
    expect(dataOf(sink)).toBe("3 4 5");
  });

  test("gives one that was full the latest only, once it drains", async () => {
    await using all = start();
    const { sink, subscriber } = all.connect({ conflate: true });
    sink.stalled = true;
    await all.tick("k", 0);
    await until("it is full", () => subscriber.state === "full");
    for (let n = 1; n <= 50; n++) await all.tick(n % 2 ? "odd" : "even", n);
    sink.drain();
    await until("it is live", () => subscriber.state === "live");
    expect(dataOf(sink)).toBe("0 49 50");
  });

  test("is for a loop in the program, too", async () => {
    await using all = start();
    for (let n = 1; n <= 10; n++) await all.tick("k", n);
    const got: unknown[] = [];
    for await (const { data } of all.hub.subscribe({ channels: ["a"], rewind: "all", conflate: true })) {
      got.push(data);
      if (got.length === 1) for (let n = 11; n <= 20; n++) await all.tick("k", n);
      if (got.length === 2) break;
    }
    expect(got).toEqual([10, 20]);
    expect(() => all.hub.subscribe({ channels: ["a"], conflate: 1 as never })).toThrow(/conflate of subscribe/);
  });

  test.each([
    [{ conflate: "1" as never }, /conflate of connect is a boolean/],
    [{ everyMs: 9 }, /everyMs is 9: it is a whole number from 10 to 3600000/],
    [{ everyMs: 3_600_001 }, /everyMs is 3600001/],
    [{ everyMs: 10.5 }, /everyMs is 10.5/],
    [{ everyMs: "250" as never }, /everyMs is "250"/],
    [{ everyMs: 250, conflate: false }, /with everyMs \(250\) a stream is conflated/],
    [{ form: "event 0 [" as never }, /form is "event 0 \["/],
  ])("%j is refused", async (options, message) => {
    await using all = start();
    expect(() => all.connect(options)).toThrow(expect.objectContaining({ code: "invalid_option" }));
    expect(() => all.connect(options)).toThrow(message);
    expect(all.hub.connectionCount).toBe(0);
  });
});

describe("everyMs", () => {
  test("lets what comes after a pause go at once, holds what follows, and brings its latest with the tick", async () => {
    await using all = start();
    const { sink, subscriber } = all.connect({ everyMs: 200 });
    await all.tick("k", 1);
    await until("the first is there", () => sink.events.length === 1, 100);
    for (let n = 2; n <= 9; n++) await all.tick("k", n);
    await all.tick(undefined, "other");
    expect(dataOf(sink)).toBe("1");
    expect(subscriber.state).toBe("held");
    await until("the tick", () => sink.events.length === 3);
    expect(dataOf(sink)).toBe("1 9 other");
    await until("it is live", () => subscriber.state === "live");
    await sleep(210); // a pause
    await all.tick("k", 10);
    await until("it is there at once", () => sink.events.length === 4, 100);
  });

  // Held to what was there at the tick, it got nothing of a key that had changed again when it was read.
  test("a key that changes all the time comes with each tick", async () => {
    await using all = start();
    const everyMs = 40;
    const sinks = Array.from({ length: 200 }, (_, at) => all.connect({ everyMs, channels: ["a", `own/${at}`] }).sink);
    const endMs = performance.now() + 15 * everyMs;
    while (performance.now() < endMs) await all.tick("k", 1);
    for (const sink of sinks) expect(sink.events.length).toBeGreaterThan(5);
  });

  test("one who comes to those who are held is sent what it has missed at once", async () => {
    await using all = start();
    const { sink } = all.connect({ everyMs: 3_600_000 });
    await all.tick("k", 1);
    await until("the first is there", () => sink.events.length === 1);
    await all.tick("k", 2);
    const newcomer = all.connect({ everyMs: 3_600_000, rewind: "all" });
    await until("the newest is there", () => newcomer.sink.events.length === 1);
    expect(dataOf(newcomer.sink)).toBe("2");
    expect(dataOf(sink)).toBe("1");
  });

  test("is each one's own: what one is sent does not make others wait", async () => {
    await using all = start();
    const ann = all.connect({ everyMs: 3_600_000, identity: { user: "ann" } });
    const bob = all.connect({ everyMs: 3_600_000, identity: { user: "bob" } });
    await all.hub.sendToUser("ann", { data: "for ann" });
    await until("ann has hers", () => ann.sink.events.length === 1);
    await all.tick("k", 1);
    await until("bob has his", () => bob.sink.events.length === 1);
    expect(dataOf(ann.sink)).toBe("for ann");
  });

  test("holds personal events and broadcasts too, in the order of the log", async () => {
    await using all = start();
    const ann = all.connect({ everyMs: 50, identity: { user: "ann", roles: ["r"] } });
    const bob = all.connect({ everyMs: 50, identity: { user: "bob", roles: ["r"] } });
    await all.tick("k", 0);
    await until("the first is there", () => ann.sink.events.length === 1);
    await all.hub.sendToUser("ann", { data: "1", key: "k" });
    await all.tick("k", 2);
    await all.hub.sendToUser("ann", { data: "3", key: "k" });
    await all.hub.broadcast({ data: "4" });
    await all.hub.sendToRole("r", { data: "5" });
    await all.hub.sendToConnection(ann.subscriber.id, { data: "6" });
    expect(dataOf(ann.sink)).toBe("0");
    await until("the tick", () => ann.sink.events.length >= 6 && bob.sink.events.length >= 4);
    expect(dataOf(ann.sink)).toBe("0 2 3 4 5 6");
    expect(dataOf(bob.sink)).toBe("0 2 4 5");
  });

  test.each([
    ["of one read", 40, 1],
    ["of several", 160, 3],
  ])(
    "keeps to the rate with keys %s, however its sink drains, and the last of each arrives",
    async (_, keys, reads) => {
      await using all = start();
      const everyMs = 40;
      const { sink } = all.connect({ everyMs });
      const seen = new Map<string, number>();
      let events = 0;
      const write = sink.write.bind(sink);
      // Full after each write, and soon empty again: as a socket is that takes less than one chunk.
      sink.write = (bytes) => {
        write(bytes);
        for (; events < sink.events.length; events++) {
          const [key = ""] = (sink.events[events]?.data ?? "").split(" ");
          seen.set(key, (seen.get(key) ?? 0) + 1);
        }
        setTimeout(() => sink.drain(), 2);
        return false;
      };
      const startMs = performance.now();
      let n = 0;
      while (performance.now() - startMs < 600) {
        n++;
        await all.hub.publish(
          Array.from({ length: keys }, (_, at) => ({
            channel: "a",
            key: `k${at}`,
            data: `k${at} ${n} ${"x".repeat(4000)}`,
          })),
        );
        await sleep(1);
      }
      await until("the last is there", () => sink.events.some(({ data }) => data.startsWith(`k${keys - 1} ${n} `)));
      const elapsedMs = performance.now() - startMs;
      expect(n).toBeGreaterThan(50);
      for (let at = 0; at < keys; at++) {
        const own = sink.events.filter(({ data }) => data.startsWith(`k${at} `));
        // In each part of a tick that takes several reads a key may have its newest.
        expect(own.length).toBeLessThanOrEqual(reads * (elapsedMs / everyMs + 2));
        if (keys === 40) expect(own.length).toBeGreaterThan(2);
        const numbers = own.map(({ data }) => Number(data.split(" ")[1]));
        expect(numbers).toEqual(numbers.toSorted((x, y) => x - y));
        expect(numbers.at(-1)).toBe(n);
      }
    },
  );

  test("tells the cursor of one that is held as its position, to its client when it ends, and in heartbeats", async () => {
    await using all = start({ heartbeatMs: 30 });
    const one = all.connect({ everyMs: 3_600_000 });
    const two = all.connect({ everyMs: 3_600_000, channels: ["b"] });
    const first = await all.tick("k", 1);
    await until("the first is there", () => one.sink.events.length === 1);
    await all.tick("k", 2);
    await all.tick("k", 3);
    expect(one.subscriber.state).toBe("held");
    expect(all.hub.positionOf(one.subscriber)).toBe(first);
    const heardBefore = one.sink.writes.length;
    await until("heartbeats", () => one.sink.writes.length > heardBefore + 1);
    expect(one.sink.lastEventId).toBe(first);
    expect(dataOf(one.sink)).toBe("1");
    await until("an idle one has the tail", () => two.sink.lastEventId === all.hub.position());
    all.hub.disconnect(one.subscriber);
    expect(one.sink.lastEventId).toBe(first);
    const again = all.connect({ everyMs: 3_600_000, lastEventId: first });
    await until("it need not wait for what it has missed", () => again.sink.events.length === 1);
    expect(dataOf(again.sink)).toBe("3");
  });

  test("tells the cursor when the hub closes, too", async () => {
    await using all = start();
    const { sink } = all.connect({ everyMs: 3_600_000 });
    const first = await all.tick("k", 1);
    await until("the first is there", () => sink.events.length === 1);
    await all.tick("k", 2);
    await all.hub.close({ drainMs: 100 });
    expect(sink.events.map(({ type }) => type)).toEqual(["message", "millrace.close"]);
    expect(sink.lastEventId).toBe(first);
  });

  test("stays when channels change, and of those that are held nothing is lost", async () => {
    await using all = start();
    const { sink, subscriber } = all.connect({ everyMs: 60 });
    await all.tick("k", 1);
    await until("the first is there", () => sink.events.length === 1);
    await all.tick("k", 2);
    const { position } = all.hub.changeChannels(subscriber, { add: ["b"], drop: ["a"] });
    expect(sequenceOf(position)).toBe(1); // as if it had come back there: 2 is of a channel that it reads no more
    await all.tick("k", 3, "b");
    await all.tick("k", 4, "b");
    await all.tick("k", 5, "a");
    await until("the tick", () => sink.events.length === 2);
    expect(dataOf(sink)).toBe("1 4");
    await all.tick("k", 6, "b");
    expect(dataOf(sink)).toBe("1 4");
    await until("the next tick", () => sink.events.length === 3);
  });

  test("ends with the run that it follows", async () => {
    await using all = start();
    const { sink } = all.connect({ everyMs: 40, channels: ["answer"] });
    const run = await all.hub.run("answer", async ({ send }) => {
      for (let n = 1; n <= 20; n++) await send({ data: n, key: "k" });
    });
    await run.done;
    await until("it has ended", () => sink.ended);
    expect(sink.events.map(({ type }) => type).slice(-2)).toEqual(["millrace.end", "millrace.close"]);
    expect(sink.events.at(-3)?.data).toBe("20");
  });

  test("keeps no timer while nobody is held", async () => {
    await using all = start();
    const { sink, subscriber } = all.connect({ everyMs: 20 });
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    await all.tick("k", 1);
    await all.tick("k", 2);
    await until("the tick", () => sink.events.length === 2 && subscriber.state === "live");
    expect(timers()).toBeLessThanOrEqual(before);
  });
});

test("whatever happens, the latest of each key behind the cursor arrives, in order, and all that has no key", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = mulberry(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  await using all = start();
  const published = new Map<number, { channel: string; key: string | undefined }>();
  const channels = ["a", "a/b", "c", "@user/u"];
  const selections = [["a"], ["a", "c"], ["a/*"], ["*"]];
  /** A client that reconnects: what it had, over all of its streams. */
  const clients: {
    readonly channels: readonly string[];
    readonly options: Partial<ConnectOptions>;
    readonly from: number;
    readonly got: number[];
    sink: RecordingSink;
  }[] = [];
  const connect = (patterns: readonly string[], options: Partial<ConnectOptions>) => {
    const { sink } = all.connect({ ...options, channels: [...patterns], identity: { user: "u" } });
    return sink;
  };
  for (let n = 0; n < 400; n++) {
    const dice = random();
    if (dice < 0.08 && clients.length < 25) {
      const patterns = pick(selections);
      const options = pick<Partial<ConnectOptions>>([
        {},
        { conflate: true },
        { everyMs: 10 },
        { everyMs: 15 },
        { everyMs: 25 },
      ]);
      const lastEventId = all.log.position(Math.floor(random() * all.log.tail));
      const from = sequenceOf(lastEventId);
      clients.push({
        channels: patterns,
        options,
        from,
        got: [],
        sink: connect(patterns, { ...options, lastEventId }),
      });
    } else if (dice < 0.5) {
      const batch = Array.from({ length: 1 + Math.floor(random() * 5) }, () => ({
        channel: pick(channels),
        key: random() < 0.3 ? undefined : pick(["k", "l", "constructor"]),
        data: random() < 0.05 ? "x".repeat(30_000) : "x",
      }));
      const ids = await all.hub.publish(batch.map(({ key, ...event }) => ({ ...event, ...(key ? { key } : {}) })));
      for (const [at, id] of ids.entries()) published.set(sequenceOf(id), batch[at] as (typeof batch)[0]);
    } else if (dice < 0.6 && clients.length > 0) {
      const { sink } = pick(clients);
      if (sink.stalled) sink.drain();
      else sink.stalled = true;
    } else if (dice < 0.65 && clients.length > 0) {
      // Comes back with the last id it has seen.
      const client = pick(clients);
      client.sink.destroy();
      client.got.push(...client.sink.events.map(({ lastEventId }) => sequenceOf(lastEventId)));
      const { lastEventId } = client.sink;
      client.sink = connect(client.channels, { ...client.options, lastEventId });
    } else if (dice < 0.75) await sleep(random() * 15);
    else await nextTurn();
  }
  for (const { sink } of clients) if (sink.stalled) sink.drain();
  await until("all are at the tail", () =>
    [...all.hub.connections()].every(({ state }) => state === "live" || state === "closed"),
  );
  for (const { channels: patterns, options, from, got, sink } of clients) {
    const own = [...got, ...sink.events.map(({ lastEventId }) => sequenceOf(lastEventId))];
    const what = `seed ${seed}, ${JSON.stringify({ patterns, options, from })}`;
    expect(own, what).toEqual([...new Set(own)].sort((x, y) => x - y));
    const selection = parseSelection(patterns);
    const expected = [...published].filter(
      ([sequence, { channel }]) => sequence > from && (selects(selection, channel) || channel === "@user/u"),
    );
    const conflated = options.conflate || options.everyMs !== undefined;
    const have = new Set(own);
    const last = new Map<string, number>();
    for (const [sequence, { channel, key }] of expected) {
      if (key === undefined || !conflated) expect(have.has(sequence), `${what}: ${sequence}`).toBe(true);
      else last.set(`${channel} ${key}`, sequence);
    }
    for (const [key, sequence] of last) expect(have.has(sequence), `${what}: ${key} at ${sequence}`).toBe(true);
    for (const sequence of own)
      expect(
        expected.some(([one]) => one === sequence),
        what,
      ).toBe(true);
  }
  expect(all.errors).toEqual([]);
});
