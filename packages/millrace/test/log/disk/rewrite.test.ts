import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Channels } from "../../../src/log/channels.js";
import { recover } from "../../../src/log/disk/recovery.js";
import { chooseRun, rewrite } from "../../../src/log/disk/rewrite.js";
import type { Segment } from "../../../src/log/disk/segment.js";
import { Segments } from "../../../src/log/disk/segments.js";
import { type Appended, defaultRetention, type Log, type Retention } from "../../../src/log/index.js";
import { Keys } from "../../../src/log/keys.js";
import { copyStore, dataIn, event, fields, long, readAll, select, until } from "../support.js";
import { readCheckpointFile, segmentFiles, snapshot, store } from "./store.js";

/** Sweeping comes when a test waits for it, not once a second. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const untilSwept = (what: string, condition: () => boolean) =>
  until(what, () => {
    vi.advanceTimersByTime(1000);
    return condition();
  });

const segmentBytes = 64 * 1024;
/** Small files, and little kept of the channel `noisy`. */
const retention: Partial<Retention> = { totalBytes: 4e6, events: 100 };

const quiet = (n: number) => event(`quiet/${n}`, `kept ${n}`);
const noise = (n: number) => event("noisy", `${n} ${"x".repeat(n % 500)}`);

/** Some thousand entries of noise with a quiet one here and there. */
async function fill(log: Log, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n += 10) {
    const events = Array.from({ length: 10 }, (_, at) => noise(n + at));
    await log.append(n % 500 === 0 ? [quiet(n), ...events] : events);
  }
}

const bound = (log: Log) => log.stats().bytes * 1.5 + 4 * segmentBytes + 2.5 * segmentBytes;
const tidy = (log: Log) => untilSwept("the store is tidy", () => log.stats().storedBytes < bound(log));

async function expectRight(log: Log, through: number): Promise<void> {
  const quiets = Array.from({ length: Math.ceil(through / 500) }, (_, at) => `kept ${at * 500}`);
  expect(await dataIn(log, "quiet/*")).toEqual(quiets);
  const noisy = await dataIn(log, "noisy");
  expect(noisy.map((data) => Number.parseInt(data ?? "", 10))).toEqual(
    Array.from({ length: 100 }, (_, at) => through - 100 + at),
  );
  const { entries } = await readAll(log);
  expect(entries).toHaveLength(quiets.length + 100);
}

describe("a store with quiet and noisy channels", () => {
  test("stops growing; quiet entries survive any number of rewritings, and reopening", {
    timeout: 300_000,
  }, async () => {
    await using subject = store({ retention });
    let log = await subject.open();
    const most: number[] = [];
    const rounds = long ? 200 : 20;
    for (let round = 0; round < rounds; round++) {
      await fill(log, round * 5000, 5000);
      await tidy(log);
      most.push(log.stats().storedBytes);
      await expectRight(log, (round + 1) * 5000);
      const position = log.position(log.tail);
      if (round % 2 === 1) {
        await log.close();
        log = await subject.open();
        await expectRight(log, (round + 1) * 5000);
        expect(log.locate(position)).toEqual({ sequence: log.tail, lost: "no" });
      }
    }
    // Quiet entries are moved together: the number of files does not follow what was ever written.
    expect(segmentFiles(subject.folder).length).toBeLessThan(12);
    expect(subject.notices).toEqual([]);
  });

  test("can be read while it is rewritten, and its entries dropped", { timeout: 120_000 }, async () => {
    await using subject = store({ retention, cacheBytes: 1000 });
    const log = await subject.open();
    await fill(log, 0, 5000);
    let reading = true;
    let reads = 0;
    let moves = 0;
    const reader = async () => {
      for (let at = 0; reading; at++) {
        const selection = select(...(at % 2 === 0 ? ["quiet/*"] : ["*"]));
        const { entries } = await readAll(log, selection, (at * 37) % 4000, at % 3 === 0 ? 300 : 1e6);
        for (const entry of entries) {
          expect(fields(entry).id).toBe(log.position(entry.sequence));
          expect(fields(entry).channel).toBe(entry.channel);
        }
        reads++;
      }
    };
    const readers = [reader(), reader(), reader()];
    let files = "";
    for (let round = 1; round < (long ? 200 : 20); round++) {
      await fill(log, round * 5000, 5000);
      await tidy(log);
      const now = segmentFiles(subject.folder).join();
      if (now !== files) moves++;
      files = now;
    }
    reading = false;
    await Promise.all(readers);
    expect(reads).toBeGreaterThan(5);
    expect(moves).toBeGreaterThan(2);
    await expectRight(log, (long ? 200 : 20) * 5000);
  });

  test("keeps idempotency keys through rewriting and reopening, for as long as they last", async () => {
    await using subject = store({ retention });
    const log = await subject.open();
    const answers = new Map<string, Appended>();
    for (let n = 0; n < 20; n++) {
      const idempotency = { key: `key ${n}`, digest: "d" };
      answers.set(idempotency.key, await log.append([noise(n), quiet(n * 500)], { idempotency }));
      await fill(log, n * 500 + 1, 490);
    }
    await tidy(log);
    await log.close();
    const again = await subject.open();
    for (const [key, answer] of answers) {
      expect(await again.append([event("a")], { idempotency: { key, digest: "d" } })).toEqual({
        ...answer,
        repeated: true,
      });
    }
    await again.close();
    const later = await subject.open({ retention: { ...retention, keyAgeMs: 0 } });
    expect(await later.append([], { idempotency: { key: "key 1", digest: "d" } })).not.toHaveProperty("repeated");
  });

  test("gives back everything when nothing is left, also when no file is written to", async () => {
    await using subject = store({ retention: { ...retention, ageMs: 50, keyAgeMs: 1 } });
    const log = await subject.open();
    await fill(log, 1, 500);
    await log.close();
    const [file = ""] = segmentFiles(subject.folder);
    const { tail } = log;
    // As after a rewriting, when the next file found no room.
    fs.renameSync(file, file.replace(".log", `-${String(tail).padStart(16, "0")}.log`));
    const again = await subject.open();
    await untilSwept("it is empty", () => segmentFiles(subject.folder).length === 0);
    await again.close();
    const later = await subject.open();
    expect((await later.append([event("a")])).first).toBe(tail + 1);
    expect(subject.notices).toEqual([]);
  });

  test("is not rewritten for the sake of what every append costs", async () => {
    await using subject = store({ retention: { ...retention, events: Infinity, keyAgeMs: 3600_000 } });
    const log = await subject.open();
    for (let n = 0; n < 60; n++) {
      const appends = Array.from({ length: 100 }, (_, at) =>
        log.append([event("a")], { idempotency: { key: `${n} ${at} ${"k".repeat(60)}`, digest: "d".repeat(40) } }),
      );
      await Promise.all(appends.map((append) => append));
    }
    for (let n = 0; n < 3000; n++) await log.append([event("a")]);
    expect(log.stats().storedBytes).toBeGreaterThan(log.stats().bytes * 1.5 + 4 * segmentBytes);
    const before = segmentFiles(subject.folder);
    let sweeps = 0;
    await untilSwept("it was swept", () => ++sweeps > 30);
    expect(segmentFiles(subject.folder)).toEqual(before);
  });

  test("forgets a channel without its entries coming back with its name", async () => {
    await using subject = store({ retention: { totalBytes: 4e6, ageMs: 100, memoryAgeMs: 1 } });
    let log = await subject.open();
    await log.append(Array.from({ length: 100 }, () => event("gone", "old")));
    await untilSwept("it is forgotten", () => log.stats().channels === 0);
    await log.append([event("gone", "new")]);
    await log.close();
    log = await subject.open({ retention: { totalBytes: 4e6 } });
    expect(await dataIn(log, "gone")).toEqual(["new"]);
    expect(log.stats()).toMatchObject({ entries: 1, channels: 1 });
    await log.close();
    const other = await subject.open({ retention: { totalBytes: 4e6 } });
    expect(await dataIn(other, "*")).toEqual(["new"]);
  });

  test("applies the policies it is opened with, and gives back what they drop", async () => {
    const loose = { totalBytes: 40e6, events: Infinity };
    await using subject = store({ retention: loose });
    let log = await subject.open();
    await fill(log, 0, 5000);
    const { tail } = log;
    const position = log.position(tail);
    expect(log.stats().entries).toBe(5010);
    await log.close();
    const policies = [
      { channels: "noisy", retention: { events: 100 } },
      { channels: "quiet/*", retention: { ageMs: Infinity } },
    ];
    log = await subject.open({ retention: { ...loose, totalBytes: 4e6, ageMs: 100 }, policies });
    await expectRight(log, 5000);
    await tidy(log);
    // Rewritten, swept, and grown by a channel of which nothing is kept: what the policies keep stays.
    await log.append([event("other")]);
    await untilSwept("the other is gone", () => log.stats().entries <= 10);
    await log.close();
    log = await subject.open({ retention: loose });
    expect(await dataIn(log, "quiet/*")).toHaveLength(10);
    expect(await dataIn(log, "noisy", "other")).toEqual([]);
    expect(log.locate(position)).toEqual({ sequence: tail, lost: "no" });
    const { gap } = await log.read({ selection: select("noisy", "quiet/*", "other"), after: 0, limitBytes: 1 });
    expect(gap).toEqual({ may: false, channels: ["noisy", "other"] });
    expect(subject.notices).toEqual([]);
  });

  test("removes files that hold nothing any more", async () => {
    await using subject = store({ retention: { totalBytes: 4e6, ageMs: 200, keyAgeMs: 1 } });
    const log = await subject.open();
    await fill(log, 0, 5000);
    expect(segmentFiles(subject.folder).length).toBeGreaterThan(5);
    await untilSwept("they are gone", () => segmentFiles(subject.folder).length === 1);
    const position = log.position(17);
    await log.close();
    const again = await subject.open();
    expect(again.locate(position)).toEqual({ sequence: 17, lost: "no" });
    expect((await again.read({ selection: select("noisy"), after: 17, limitBytes: 1 })).gap).toEqual({
      may: false,
      channels: ["noisy"],
    });
    expect(again.stats().entries).toBe(0);
  });
});

describe("rewriting", () => {
  test("may be done again with what it made, again and again", async () => {
    await using subject = store({ retention });
    const log = await subject.open();
    await fill(log, 0, 5000);
    await log.close();
    const segments = new Segments();
    const channels = new Channels({ ...defaultRetention, ...retention }, (...gone) => segments.release(...gone));
    const { folder } = subject;
    recover({ folder, bootId: "", segments, channels, keys: new Keys(0) });
    let run = segments.list.slice(0, -1);
    expect(run.length).toBeGreaterThan(3);
    for (let again = 0; again < 3; again++) {
      await rewrite({ run, segments, folder, channels, keysSinceMs: Infinity }, () => {});
      expect(segments.list).toHaveLength(2);
      expect(segmentFiles(folder)).toEqual(segments.list.map(({ path: file }) => file));
      run = segments.list.slice(0, 1);
      const live = segments.list.reduce((sum, { liveBytes }) => sum + liveBytes, 0);
      expect(live).toBe(channels.bytes);
    }
    segments.close();
    await expectRight(await subject.open(), 5000);
    expect(subject.notices).toEqual([]);
  });

  test("takes neighbours that are small, so that files do not become ever more", () => {
    const segment = (liveBytes: number, deadBytes: number) =>
      ({ liveBytes, deadBytes, keyBytes: 0, keyTimeMs: 0, garbage: () => deadBytes }) as unknown as Segment;
    const list = [segment(90, 10), segment(5, 0), segment(3, 0), segment(20, 80), segment(10, 20), segment(70, 30)];
    const active = segment(1, 99);
    expect(chooseRun([...list, active], active, 100, 0)).toEqual(list.slice(1, 5));
    expect(chooseRun([segment(10, 0), active], active, 100, 0)).toBeUndefined();
  });
});

describe("a rewriting that was interrupted", () => {
  /** The files of a store before and after it was rewritten. */
  async function rewritten() {
    const subject = store({ retention });
    const log = await subject.open();
    await fill(log, 0, 5000);
    const before = `${subject.folder}-before`;
    copyStore(subject.folder, before);
    await tidy(log);
    const after = `${subject.folder}-after`;
    copyStore(subject.folder, after);
    await log.close();
    fs.rmSync(subject.folder, { recursive: true });
    return { subject, before, after };
  }

  test.each([
    ["before the renaming", false],
    ["after the renaming, before anything was removed", true],
  ])("%s is taken up again", async (_, renamed) => {
    const { subject, before, after } = await rewritten();
    await using _disposed = subject;
    copyStore(before, subject.folder);
    const old = new Set(fs.readdirSync(before));
    const made = fs.readdirSync(after).filter((name) => /^\d+-\d+\.log$/.test(name) && !old.has(name));
    expect(made.length).toBeGreaterThan(0);
    for (const name of made) {
      fs.copyFileSync(path.join(after, name), path.join(subject.folder, renamed ? name : `${name}.new`));
    }
    if (renamed) fs.copyFileSync(path.join(after, "checkpoint.json"), path.join(subject.folder, "checkpoint.json"));
    fs.writeFileSync(path.join(subject.folder, "checkpoint.json.new"), "half of");
    const log = await subject.open();
    await expectRight(log, 5000);
    expect(subject.notices).toEqual([]);
    expect(fs.readdirSync(subject.folder).filter((name) => name.endsWith(".new"))).toEqual([]);
    await fill(log, 5000, 5000);
    await tidy(log);
    await expectRight(log, 10_000);
  });

  test("with any part of the old files removed is taken up again", async () => {
    const { subject, before, after } = await rewritten();
    await using _disposed = subject;
    const kept = new Set(fs.readdirSync(after));
    const old = fs.readdirSync(before).filter((name) => !kept.has(name));
    for (let removed = 0; removed <= old.length; removed++) {
      fs.rmSync(subject.folder, { recursive: true, force: true });
      copyStore(before, subject.folder);
      copyStore(after, subject.folder);
      for (const name of old.slice(0, removed)) fs.rmSync(path.join(subject.folder, name));
      const log = await subject.open();
      await expectRight(log, 5000);
      await log.close();
    }
    expect(subject.notices).toEqual([]);
  });

  test("so is a removal of files", async () => {
    await using subject = store({ retention: { totalBytes: 4e6, events: 50 } });
    const log = await subject.open();
    for (let n = 0; n < 5000; n += 10) await log.append(Array.from({ length: 10 }, () => noise(n)));
    await log.append([event("last")]);
    const before = snapshot(subject.folder);
    await untilSwept("files are removed", () => readCheckpointFile(subject.folder).floor > 0);
    await log.close();
    const gone = Object.keys(before).filter((name) => !fs.existsSync(path.join(subject.folder, name)));
    for (const name of gone) {
      if (name.endsWith(".log"))
        fs.writeFileSync(path.join(subject.folder, name), Buffer.from(before[name] ?? "", "base64"));
    }
    fs.rmSync(path.join(subject.folder, gone.filter((name) => name.endsWith(".log")).at(-1) as string));
    const again = await subject.open();
    expect(again.tail).toBe(log.tail);
    expect(await dataIn(again, "last")).toEqual(["x"]);
    expect(subject.notices).toEqual([]);
  });
});
