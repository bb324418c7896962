import { getEventListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Hub } from "../../src/hub/index.js";
import { createMemoryLog } from "../../src/log/index.js";

const makeHub = () => new Hub({ log: createMemoryLog(), heartbeatMs: 0 });

test("reads from the moment it is asked for, not from the first event that is taken", async () => {
  const hub = makeHub();
  const events = hub.subscribe({ channels: ["a"] });
  await hub.publish([
    { channel: "a", event: "tick", data: { n: 1 }, key: "k" },
    { channel: "b", data: "other" },
  ]);
  expect((await events[Symbol.asyncIterator]().next()).value).toMatchObject({
    channel: "a",
    event: "tick",
    data: { n: 1 },
    key: "k",
  });
  await hub.close();
});

test("says at once what is wrong", async () => {
  const hub = makeHub();
  expect(() => hub.subscribe({ channels: ["a\n"] })).toThrow(/CR, LF or NUL/);
  expect(() => hub.subscribe({ channels: ["a"], rewind: -1 })).toThrow(/rewind/);
  await hub.close();
});

test.each(["the loop is left", "its signal fires", "the hub ends"])("ends when %s", async (how) => {
  const hub = makeHub();
  const controller = new AbortController();
  const iterator = hub.subscribe({ channels: ["a"], signal: controller.signal })[Symbol.asyncIterator]();
  const waiting = iterator.next();
  if (how === "the loop is left") await iterator.return?.();
  else if (how === "its signal fires") controller.abort();
  else await hub.close();
  expect(await waiting).toEqual({ done: true, value: undefined });
  await hub.close();
});

test("goes on behind an id, and is told of a gap", async () => {
  const hub = makeHub();
  const ids = await hub.publish([1, 2, 3].map((data) => ({ channel: "a", data })));
  const rest: unknown[] = [];
  for await (const { data } of hub.subscribe({ channels: ["a"], lastEventId: ids[0] as string })) {
    rest.push(data);
    if (rest.length === 2) break;
  }
  expect(rest).toEqual([2, 3]);
  const gaps: unknown[] = [];
  const onGap = (gap: unknown) => gaps.push(gap);
  for await (const { data } of hub.subscribe({ channels: ["a"], lastEventId: "elsewhere-1", onGap })) {
    expect(data).toBe(1);
    break;
  }
  expect(gaps).toEqual([{ may: true, channels: [] }]);
  await hub.close();
});

test("many loops under one signal have one listener, and it ends them all", async () => {
  const hub = makeHub();
  const controller = new AbortController();
  const { signal } = controller;
  const loops = Array.from({ length: 50 }, () => hub.subscribe({ channels: ["a"], signal })[Symbol.asyncIterator]());
  const waiting = loops.map((loop) => loop.next());
  expect(hub.watchers("a")).toBe(50);
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  const late = hub.subscribe({ channels: ["a"], signal })[Symbol.asyncIterator]();
  controller.abort();
  expect(hub.watchers("a")).toBe(0);
  for (const next of [...waiting, late.next()]) expect(await next).toEqual({ done: true, value: undefined });
  await hub.close();
});

test("leaves nothing behind in a signal that lives on", async () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const hub = makeHub();
  const { signal } = new AbortController();
  const work = async (count: number) => {
    for (let at = 0; at < count; at++) {
      const loop = hub.subscribe({ channels: ["a"], signal })[Symbol.asyncIterator]();
      const next = at % 2 === 0 ? loop.next() : undefined;
      await loop.return?.();
      await next;
    }
    collect();
    return process.memoryUsage().heapUsed;
  };
  await work(5_000);
  const before = await work(5_000);
  expect((await work(30_000)) - before).toBeLessThan(500_000); // AbortSignal.any: 1.6 MB and more
  await hub.close();
});
