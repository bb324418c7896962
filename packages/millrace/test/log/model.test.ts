import fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openDiskLog } from "../../src/log/disk/index.js";
import { createMemoryLog, defaultRetention, type Entry, type Log, type RetentionPolicy } from "../../src/log/index.js";
import { selectionOf } from "../../src/protocol/index.js";
import { Model } from "./model.js";
import { copyStore, dataOf, event, fields, long, readAll, temporaryFolder } from "./support.js";

const names = ["a", "b", "a/x", "a/y", "a/x/z", "@user/1", "constructor", "c"];
const selections = fc
  .tuple(fc.subarray(names), fc.subarray(["", "a/", "a/x/"]))
  .map(([exact, prefixes]) => selectionOf(exact, prefixes));
const everything = selectionOf(
  names.filter((name) => name.startsWith("@")),
  [""],
);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      batch: fc.array(
        fc.record({
          channel: fc.constantFrom(...names),
          key: fc.option(fc.constantFrom("k", "k2", "constructor", "a key that is longer"), { nil: undefined }),
          size: fc.integer({ min: 0, max: 400 }),
        }),
        { minLength: 1, maxLength: 12 },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      selection: selections,
      behind: fc.double({ min: 0, max: 1, noNaN: true }),
      known: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      limitBytes: fc.constantFrom(1, 300, 2000, 1e6),
      conflate: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 4000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const), next: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("abandon" as const) }) },
);

const retentions = fc.record({
  events: fc.constantFrom(1, 3, 20, Infinity),
  channelBytes: fc.constantFrom(700, 4000, Infinity),
  totalBytes: fc.constantFrom(3000, 20_000, Infinity),
  ageMs: fc.constantFrom(2000, 10_000, Infinity),
  memoryAgeMs: fc.constantFrom(1, 3000, Infinity),
});

const bounds: fc.Arbitrary<RetentionPolicy["retention"]> = fc.record(
  {
    events: fc.constantFrom(1, 2, 7, Infinity),
    bytes: fc.constantFrom(500, 2500, Infinity),
    ageMs: fc.constantFrom(500, 5000, 30_000, Infinity),
  },
  { requiredKeys: [] },
);

/** Policies of which each can hold something: what is narrower stands in front. */
const policies: fc.Arbitrary<RetentionPolicy[]> = fc
  .tuple(
    fc.subarray(["a", "@user/1", "a/x/*", "a/*", "@user/*", "*"]),
    fc.array(bounds, { minLength: 6, maxLength: 6 }),
  )
  .map(([patterns, all]) =>
    patterns.map((channels, at) => ({ channels, retention: all[at] as RetentionPolicy["retention"] })),
  );

/** Time stands still but for the steps that let it pass; then the log is swept. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/**
 * Goes through the steps with a log and a model of it: a channel never keeps more than its policy, nor less while the
 * whole is below the total, and each gap is said. `changing`: the policies of one start and the next.
 */
async function compare(
  settings: typeof retentions extends fc.Arbitrary<infer T> ? T : never,
  changing: readonly (readonly RetentionPolicy[])[],
  steps: (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
  cacheBytes: number | undefined,
): Promise<void> {
  const retention = { ...defaultRetention, ...settings };
  using root = temporaryFolder();
  let folder = path.join(root.path, "0");
  const opened: Log[] = [];
  const notices: string[] = [];
  let present = changing[0] ?? [];
  const leastAgeMs = () => Math.min(retention.ageMs, ...present.map((policy) => policy.retention.ageMs ?? Infinity));
  const sweepMs = () => Math.min(1000, leastAgeMs() / 4) + 1;
  const open = async () => {
    const log =
      cacheBytes === undefined
        ? createMemoryLog({ retention, policies: present })
        : await openDiskLog(folder, {
            retention,
            policies: present,
            cacheBytes,
            onNotice: (notice) => notices.push(notice),
          });
    opened.push(log);
    log.onCommit((entries) => {
      committed = entries;
    });
    return log;
  };
  let committed: readonly Entry[] = [];
  const model = new Model(retention, present);
  let log = await open();
  /** What a reader that asked at some time knows to be dropped. */
  let known = [{ drops: log.drops, sequences: model.droppedNow() }];
  const ids: string[] = [];
  const retainedBy = async () => (await readAll(log, everything, 0)).entries;
  const observe = async (): Promise<Entry[]> => {
    const entries = await retainedBy();
    model.adopt(
      entries.map(({ sequence }) => sequence),
      Date.now(),
    );
    const bytes = model.retained().reduce((sum, item) => sum + item.bytes, 0);
    expect(log.stats()).toMatchObject({ entries: entries.length, bytes });
    if (entries.length > 1) expect(bytes).toBeLessThanOrEqual(retention.totalBytes);
    known.push({ drops: log.drops, sequences: model.droppedNow() });
    return entries;
  };

  try {
    for (const at of steps) {
      if (at.do === "append") {
        const events = at.batch.map(({ channel, key, size }, index) =>
          event(channel, `${model.tail + index + 1} ${"x".repeat(size)}`, key === undefined ? {} : { key }),
        );
        expect(await log.append(events)).toEqual({ first: model.tail + 1, count: events.length });
        let start = 0;
        for (const entry of committed) {
          const { data = "", id = "" } = fields(entry);
          model.append(entry.channel, entry.key, data, entry.end - start, entry.timeMs);
          ids.push(id);
          start = entry.end;
        }
        await observe();
      } else if (at.do === "wait") {
        vi.advanceTimersByTime(at.ms);
        vi.advanceTimersByTime(sweepMs());
        await observe();
        model.checkAge(Date.now() - sweepMs());
      } else if (at.do === "read") {
        const after = Math.floor(at.behind * model.tail);
        const knowing = at.known === null ? undefined : known[Math.floor(at.known * (known.length - 1))];
        const { selection, limitBytes, conflate } = at;
        const { gap } = await log.read({
          ...{ selection, after, limitBytes, conflate },
          ...(knowing && { knownDrops: knowing.drops }),
        });
        model.checkGap(gap, selection, { after, known: knowing?.sequences ?? new Set(), conflate });
        const { entries } = await readAll(log, selection, after, limitBytes, conflate);
        const wanted = conflate ? model.latest(selection) : model.retained(selection);
        const expected = wanted.filter(({ sequence }) => sequence > after);
        expect(entries.map(({ sequence }) => sequence)).toEqual(expected.map(({ sequence }) => sequence));
        expect(dataOf(entries)).toEqual(expected.map(({ data }) => data));
        const count = Math.floor(at.behind * 10);
        const from = count === 0 ? model.tail : (model.retained(selection).at(-count)?.sequence ?? 1) - 1;
        expect(log.rewind(selection, count)).toBe(from);
      } else if (cacheBytes !== undefined) {
        if (at.do === "reopen") await log.close();
        else {
          const copy = path.join(root.path, String(opened.length));
          copyStore(folder, copy);
          folder = copy;
        }
        if (at.do === "reopen" && at.next) present = changing[opened.length % changing.length] ?? [];
        log = await open();
        model.reopen(present);
        expect(log.tail).toBe(model.tail);
        if (at.do === "abandon")
          model.comeBack(
            (await retainedBy()).map(({ sequence }) => sequence),
            Date.now(),
          );
        known = [];
        await observe();
        for (const [index, id] of ids.entries()) expect(log.locate(id)).toEqual({ sequence: index + 1, lost: "no" });
      }
    }
    expect(notices).toEqual([]);
  } finally {
    await Promise.all(opened.map((each) => each.close()));
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

describe("a log is what a list is that forgets its oldest", () => {
  test.each([
    ["in memory", undefined, long ? 5000 : 200],
    ["on disk", 8 * 2 ** 20, long ? 1000 : 25],
    ["on disk, hardly a cache", 500, long ? 1000 : 25],
  ])("%s", { timeout: 600_000 }, async (_, cacheBytes, numRuns) => {
    await fc.assert(
      fc.asyncProperty(
        retentions,
        fc.array(policies, { minLength: 1, maxLength: 3 }),
        fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
        (settings, changing, steps) => compare(settings, changing, steps, cacheBytes),
      ),
      { numRuns },
    );
  });
});
