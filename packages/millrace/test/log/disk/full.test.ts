import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, type TestContext, test } from "vitest";
import { openDiskLog } from "../../../src/log/disk/index.js";
import type { Log, Retention } from "../../../src/log/index.js";
import { copyStore, dataIn, event, fields, readAll, select, temporaryFolder, until } from "../support.js";
import { flipBit, segmentFiles } from "./store.js";

interface SmallDisk extends Disposable {
  readonly folder: string;
  /** Takes all the room there is left, but for some bytes. */
  fillUp(exceptBytes?: number): void;
  /** Gives it back. */
  clear(): void;
}

/** A disk of a megabyte. Only root may mount one; without, the test is skipped, which is a failure in CI. */
function smallDisk(context: TestContext, bytes = 2 ** 20): SmallDisk {
  const root = temporaryFolder();
  const { status, error, stderr } = spawnSync("/bin/mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", root.path]);
  if (status !== 0) {
    root[Symbol.dispose]();
    const reason = `a small disk cannot be mounted: ${error?.message ?? String(stderr).trim()}`;
    if (!["", "0", "false"].includes(process.env.CI ?? "")) throw new Error(reason);
    context.skip(reason);
  }
  const ballast = path.join(root.path, "ballast");
  return {
    folder: path.join(root.path, "store"),
    fillUp: (exceptBytes = 0) => {
      const { bavail, bsize } = fs.statfsSync(root.path);
      const fd = fs.openSync(ballast, "a");
      for (let left = bavail * bsize - exceptBytes; left > 0; left -= bsize)
        fs.writeSync(fd, Buffer.alloc(Math.min(left, bsize)));
      fs.closeSync(fd);
    },
    clear: () => fs.rmSync(ballast, { force: true }),
    [Symbol.dispose]: () => {
      spawnSync("/bin/umount", ["--lazy", root.path]);
      root[Symbol.dispose]();
    },
  };
}

/** Appends, and keeps account of what was acknowledged. */
class Publisher {
  readonly acknowledged = new Map<number, string>();
  refused = 0;
  #n = 0;
  log: Log;

  constructor(log: Log) {
    this.log = log;
  }

  async publish(count = 1, size = this.#n % 700): Promise<void> {
    const data = Array.from({ length: count }, () => `${this.#n++} ${"x".repeat(size)}`);
    try {
      const { first } = await this.log.append(data.map((text) => event(`c${this.#n % 3}`, text)));
      for (const [at, text] of data.entries()) this.acknowledged.set(first + at, text);
    } catch (error) {
      expect(error).toMatchObject({ code: "store_full" });
      expect(this.log.stats().writable).toBe(false);
      this.refused++;
    }
  }

  async expectAll(): Promise<void> {
    const { entries, gap } = await readAll(this.log);
    expect(gap).toBeUndefined();
    expect(new Map(entries.map((entry) => [entry.sequence, fields(entry).data]))).toEqual(this.acknowledged);
  }
}

const open = (disk: SmallDisk, retention: Partial<Retention> = {}, notices: string[] = []) =>
  openDiskLog(disk.folder, { retention, cacheBytes: 10_000, onNotice: (notice) => notices.push(notice) });

describe("a full disk", () => {
  test.for([
    ["one large file", {}],
    ["small files", { totalBytes: 4e6 }],
  ] as const)("refuses appends, lets read, and goes on once there is room (%s)", async ([, retention], context) => {
    using disk = smallDisk(context);
    const publisher = new Publisher(await open(disk, retention));
    for (let n = 0; n < 300; n++) await publisher.publish();
    for (let round = 0; round < 4; round++) {
      disk.fillUp(round * 3000);
      const enough = publisher.refused + 250;
      while (publisher.refused < enough) {
        await Promise.all([publisher.publish(), publisher.publish(7, 500), publisher.publish(1, 10)]);
        if (publisher.refused % 50 === 0) await publisher.expectAll();
      }
      disk.clear();
      for (let n = 0; n < 20; n++) await publisher.publish();
      expect(publisher.log.stats().writable).toBe(true);
      await publisher.expectAll();
    }
    expect(publisher.refused).toBeGreaterThanOrEqual(1000);
    await publisher.log.close();
    publisher.log = await open(disk, retention);
    await publisher.expectAll();
    await publisher.log.close();
  });

  test("costs nothing that was acknowledged when the process ends on it", async (context) => {
    using disk = smallDisk(context);
    const publisher = new Publisher(await open(disk));
    while (publisher.refused < 100) await publisher.publish(5, 900);
    const notices: string[] = [];
    await publisher.log.close();
    disk.fillUp();
    publisher.log = await open(disk, {}, notices);
    expect(notices.join()).toMatch(/no space/);
    await publisher.expectAll();
    const before = publisher.refused;
    await publisher.publish();
    expect(publisher.refused).toBe(before + 1);
    const { tail } = publisher.log;
    const position = publisher.log.position(tail);
    expect(publisher.log.locate(position)).toEqual({ sequence: tail, lost: "no" });
    await publisher.log.close();
    publisher.log = await open(disk);
    await publisher.expectAll();
    disk.clear();
    fs.truncateSync(path.join(disk.folder, "0000000000000001.log"), 600_000);
    await publisher.log.close();
    // Its end is lost, and the disk is full again: so much is told even before anything can be written.
    disk.fillUp();
    publisher.log = await open(disk);
    expect(publisher.log.tail).toBeLessThan(tail);
    expect(publisher.log.locate(position)).toMatchObject({ lost: "yes" });
    await publisher.log.close();
  });

  test("does not hide a loss at the end from the start after the next", async (context) => {
    using disk = smallDisk(context);
    const log = await open(disk);
    const positions: string[] = [];
    for (let n = 1; n <= 5; n++) {
      await log.append([event("a", String(n))]);
      positions.push(log.position(n));
    }
    const copy = { ...disk, folder: `${disk.folder}-copy` };
    copyStore(disk.folder, copy.folder);
    await log.close();
    const [file = ""] = segmentFiles(copy.folder);
    flipBit(file, (fs.statSync(file).size - 3) * 8);
    disk.fillUp();
    for (let start = 0; start < 3; start++) {
      if (start === 2) disk.clear();
      const again = await open(copy);
      expect(again.stats().writable).toBe(start === 2);
      expect(again.locate(positions[3] as string)).toEqual({ sequence: 4, lost: "may" });
      expect(again.locate(positions[4] as string)).toEqual({ sequence: 4, lost: "yes" });
      expect(await dataIn(again, "a")).toEqual(["1", "2", "3", "4"]);
      await again.close();
    }
  });

  test("that has room again is found out without writing the checkpoint each time", async (context) => {
    using disk = smallDisk(context);
    const publisher = new Publisher(await open(disk));
    await publisher.publish();
    disk.fillUp();
    while (publisher.refused === 0) await publisher.publish(7, 900);
    const { ino } = fs.statSync(path.join(disk.folder, "checkpoint.json"));
    disk.clear();
    await until("it is writable", () => publisher.log.stats().writable);
    expect(fs.statSync(path.join(disk.folder, "checkpoint.json")).ino).toBe(ino);
    expect(fs.readdirSync(disk.folder).sort()).toEqual(["0000000000000001.log", "checkpoint.json", "lock"]);
    await publisher.log.close();
  });

  test("is given what little garbage there is", async (context) => {
    using disk = smallDisk(context);
    // Less garbage than four files: with room, it would be left alone.
    const log = await open(disk, { totalBytes: 4e6, events: 5 });
    for (let n = 0; n < 90; n++) await log.append([event(n % 30 === 0 ? `quiet/${n}` : "noisy", "x".repeat(2000))]);
    const before = log.stats().storedBytes;
    disk.fillUp(8192);
    await expect(log.append([event("large", "x".repeat(30_000))])).rejects.toMatchObject({ code: "store_full" });
    await until("it is rewritten", () => log.stats().storedBytes < before - 40_000);
    expect((await readAll(log, select("quiet/*"))).entries).toHaveLength(3);
    await log.append([event("large", "x".repeat(30_000))]);
    await log.close();
  });

  test("is emptied by retention alone", async (context) => {
    using disk = smallDisk(context);
    const log = await open(disk, { totalBytes: 4e6, ageMs: 400, keyAgeMs: 1 });
    const publisher = new Publisher(log);
    while (publisher.refused < 50) await publisher.publish(3, 900);
    disk.fillUp();
    await until("there is room again", async () => {
      await publisher.publish();
      return log.stats().writable;
    });
    const position = log.position(1);
    await log.close();
    const again = await open(disk, { totalBytes: 4e6 });
    expect(again.tail).toBe(log.tail);
    const { gap } = await again.read({ selection: select("*"), after: 1, limitBytes: 1 });
    expect(again.locate(position).sequence).toBe(1);
    expect(gap).toBeDefined();
    await again.close();
  });

  test("stops rewriting, not the store; it is told once", async (context) => {
    using disk = smallDisk(context, 2 * 2 ** 20);
    const notices: string[] = [];
    const log = await open(disk, { totalBytes: 4e6, events: 20 }, notices);
    await log.append([event("quiet", "kept")]);
    for (let n = 0; n < 700; n++) await log.append([event("noisy", `${n} ${"x".repeat(900)}`)]);
    disk.fillUp();
    const sinceMs = Date.now();
    await until("it was tried again and again", () => Date.now() > sinceMs + 2200);
    expect(await dataIn(log, "quiet")).toEqual(["kept"]);
    expect(notices.filter((notice) => notice.includes("tidied")).length).toBeLessThanOrEqual(1);
    const before = log.stats().storedBytes;
    disk.clear();
    await until("it is rewritten", () => log.stats().storedBytes < before / 2);
    expect(await dataIn(log, "quiet")).toEqual(["kept"]);
    await log.close();
    const again = await open(disk, { totalBytes: 4e6, events: 20 }, notices);
    expect(await dataIn(again, "quiet")).toEqual(["kept"]);
    expect(await dataIn(again, "noisy")).toHaveLength(20);
    await again.close();
  });

  test("has no room for a new store: that is refused, and leaves no lock", async (context) => {
    using disk = smallDisk(context);
    fs.mkdirSync(disk.folder);
    disk.fillUp();
    await expect(open(disk)).rejects.toMatchObject({ code: "store_full" });
    disk.clear();
    const log = await open(disk);
    await log.append([event("a")]);
    await log.close();
  });
});
