import fc from "fast-check";
import { expect, test } from "vitest";
import { Recent } from "../../src/hub/recent.js";
import { createMemoryLog, type Entry, type Slice } from "../../src/log/index.js";
import { checkEvent, selectionOf } from "../../src/protocol/index.js";

const everything = selectionOf(["a", "b"], []);
const event = (channel: string, key: string | undefined, data = "x") =>
  checkEvent({ channel, data, ...(key === undefined ? {} : { key }) });

async function logOf(events: readonly { channel: string; key: string | undefined; data?: string }[]) {
  const log = createMemoryLog();
  const entries: Entry[] = [];
  log.onCommit((committed) => entries.push(...committed));
  for (const { channel, key, data } of events) await log.append([event(channel, key, data)]);
  return { log, entries };
}

test("it has what a conflated read of the log has", async () => {
  const events = fc.array(
    fc.record({ channel: fc.constantFrom("a", "b"), key: fc.constantFrom("k", "l", "m", undefined) }),
    { minLength: 1, maxLength: 80 },
  );
  await fc.assert(
    fc.asyncProperty(events, fc.nat(80), fc.nat(80), async (published, begun, behind) => {
      const { log, entries } = await logOf(published);
      const from = Math.min(begun, entries.length);
      const recent = new Recent(from);
      for (const entry of entries.slice(from)) recent.push(entry);
      const known = recent.behind(behind, Infinity);
      const limits = { limitBytes: 1_000_000, knownDrops: -1 };
      const after = Math.min(behind, log.tail);
      const { entries: latest } = log.read({ selection: everything, after, conflate: true, ...limits }) as Slice;
      expect(known?.map(({ sequence }) => sequence)).toEqual(
        behind < from ? undefined : latest.map(({ sequence }) => sequence),
      );
      await log.close();
    }),
  );
});

test("what is too much for one write, or not here, is left to the log", async () => {
  const { entries } = await logOf(
    Array.from({ length: 4 }, () => ({ channel: "a", key: undefined, data: "x".repeat(400) })),
  );
  const recent = new Recent(0);
  for (const entry of entries) recent.push(entry);
  expect(recent.behind(0, 1000)).toBeUndefined();
  expect(recent.behind(2, 1000)).toEqual(entries.slice(2));
  recent.clear(3);
  expect(recent.behind(2, 1000)).toBeUndefined();
  expect(recent.behind(3, 1000)).toEqual([]);
});

test("it keeps a bounded part of what was published: beyond that it begins anew", async () => {
  const { entries } = await logOf([{ channel: "a", key: undefined, data: "x".repeat(300_000) }]);
  const [large] = entries as [Entry];
  const recent = new Recent(0);
  const copies = Array.from({ length: 6 }, (_, at) => ({
    ...large,
    sequence: at + 1,
    bytes: Buffer.from(large.bytes),
  }));
  for (const copy of copies) recent.push(copy);
  expect(recent.behind(0, Infinity)).toBeUndefined();
  expect(recent.behind(4, Infinity)).toEqual(copies.slice(4));
});

test("what is too old for anyone to wait for it is not kept", async () => {
  const { entries } = await logOf([{ channel: "a", key: undefined }]);
  const [one] = entries as [Entry];
  const at = (ms: number): Entry => ({ ...one, sequence: ms, timeMs: ms });
  const recent = new Recent(0, 100);
  for (let ms = 1; ms <= 201; ms++) recent.push(at(ms));
  expect(recent.behind(0, Infinity)).toHaveLength(201);
  recent.push(at(202));
  expect(recent.behind(100, Infinity)).toBeUndefined();
  expect(recent.behind(101, Infinity)?.map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: 101 }, (_, n) => 102 + n),
  );
  recent.push(at(1000));
  expect(recent.behind(202, Infinity)?.map(({ sequence }) => sequence)).toEqual([1000]);
});
