import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { dataOf, event, fields, readAll, select, until } from "../support.js";
import { segmentFiles, store } from "./store.js";

describe("at the same time", () => {
  test("many appends with power durability share their flushes, and keep their order", async () => {
    await using subject = store({ durability: "power" });
    const log = await subject.open();
    const commits: number[] = [];
    log.onCommit((entries) => commits.push(entries.length));
    const answers: number[] = [];
    const writers = Array.from({ length: 50 }, async (_, writer) => {
      for (let at = 0; at < 20; at++) {
        const { first } = await log.append([event(`w/${writer}`, String(at))], {
          idempotency: { key: `${writer} ${at}`, digest: "d" },
        });
        answers.push(first);
      }
    });
    await Promise.all(writers);
    expect(answers).toEqual(Array.from({ length: 1000 }, (_, at) => at + 1));
    expect(commits.length).toBeLessThan(100);
    await log.close();
    const again = await subject.open();
    for (let writer = 0; writer < 50; writer++) {
      const { entries } = await readAll(again, select(`w/${writer}`));
      expect(dataOf(entries)).toEqual(Array.from({ length: 20 }, (_, at) => String(at)));
    }
  });

  test("appends and close: what was accepted is there, the rest was refused", async () => {
    for (const durability of ["process", "power"] as const) {
      await using subject = store({ durability });
      const log = await subject.open();
      const accepted: number[] = [];
      let refused = 0;
      const writers = Array.from({ length: 5 }, async () => {
        for (;;) {
          try {
            accepted.push((await log.append([event("a", "x".repeat(100))])).first);
          } catch (error) {
            expect(error).toMatchObject({ code: "closed" });
            refused++;
            return;
          }
        }
      });
      await until("it appends", () => accepted.length > 50);
      await log.close();
      await Promise.all(writers);
      expect(refused).toBe(5);
      const again = await subject.open();
      expect(again.tail).toBe(accepted.length);
      expect(again.locate(again.position(again.tail))).toEqual({ sequence: again.tail, lost: "no" });
      expect(subject.notices).toEqual([]);
    }
  });

  test("reads and close, and reads and the removal of their files: a read that began ends well", async () => {
    await using subject = store({ cacheBytes: 1000, retention: { totalBytes: 4e6, ageMs: 300, keyAgeMs: 1 } });
    const log = await subject.open();
    const data = Array.from({ length: 1000 }, (_, at) => `${at} ${"x".repeat(1000)}`);
    for (const text of data) await log.append([event("a", text)]);
    const files = segmentFiles(subject.folder).length;
    expect(files).toBeGreaterThan(10);
    let read = log.read({ selection: select("a"), after: 0, limitBytes: 1e9 });
    expect(dataOf((await read).entries)).toEqual(data);
    await until("some are dropped", async () => {
      read = log.read({ selection: select("a"), after: 0, limitBytes: 1e9 });
      const { entries, gap } = await read;
      if (entries.length < data.length) expect(gap).toEqual({ may: false, channels: ["a"] });
      expect(dataOf(entries)).toEqual(data.slice(data.length - entries.length));
      return segmentFiles(subject.folder).length === 1;
    });
    for (const text of data) await log.append([event("a", text)]);
    const last = log.read({ selection: select("a"), after: 1000, limitBytes: 1e9 });
    await log.close();
    expect((await last).entries.length).toBeGreaterThan(0);
  });

  test("a file that was changed by another hand is an error of the read, not of the process", async () => {
    await using subject = store({ cacheBytes: 1 });
    const log = await subject.open();
    for (let n = 0; n < 10; n++) await log.append([event("a", String(n))]);
    const [file = ""] = segmentFiles(subject.folder);
    const bytes = fs.readFileSync(file);
    fs.truncateSync(file, 300);
    const read = async () => log.read({ selection: select("a"), after: 0, limitBytes: 1e6 });
    await expect(read()).rejects.toMatchObject({ code: "store_failed" });
    fs.writeFileSync(file, bytes);
    expect((await read()).entries).toHaveLength(10);
  });
});

describe("a listener that throws", () => {
  test.each(["process", "power"] as const)("disturbs neither publishers nor what follows (%s)", async (durability) => {
    await using subject = store({ durability });
    const log = await subject.open();
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const caught: unknown[] = [];
    process.on("uncaughtException", (error) => caught.push(error));
    try {
      let commits = 0;
      log.onCommit(() => {
        commits++;
        throw new Error("a fault of the listener");
      });
      const large = Array.from({ length: 6 }, () => log.append([event("a", "x".repeat(2 ** 20))]));
      expect((await Promise.all(large)).map(({ first }) => first)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(await log.append([event("a")])).toEqual({ first: 7, count: 1 });
      await until("the process has heard of it", () => caught.length === commits);
      expect(log.stats().writable).toBe(true);
      const { entries } = await readAll(log);
      expect(entries.map((entry) => fields(entry).channel)).toEqual(Array.from({ length: 7 }, () => "a"));
      await log.close();
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of others) process.on("uncaughtException", listener);
    }
  });
});
