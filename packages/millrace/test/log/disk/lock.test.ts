import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { openDiskLog } from "../../../src/log/disk/index.js";
import { lockStore } from "../../../src/log/disk/lock.js";
import { event, temporaryFolder, until } from "../support.js";
import { startChild } from "./child.js";
import { store } from "./store.js";

describe("a store", () => {
  test("is opened once at a time in one process", async () => {
    await using subject = store();
    const log = await subject.open();
    await expect(subject.open()).rejects.toMatchObject({ code: "store_locked" });
    await log.append([event("a")]);
    await log.close();
    expect((await subject.open()).tail).toBe(1);
  });

  test("is refused while another process has it, and free when that was killed", async () => {
    await using subject = store();
    await using holder = startChild("hold", subject.folder);
    await until("it is open", () => holder.lines.length > 0);
    expect(holder.lines).toEqual(["open"]);
    await expect(subject.open()).rejects.toMatchObject({ code: "store_locked" });
    await using second = startChild("hold", subject.folder);
    await until("the second has tried", () => second.lines.length > 0);
    expect(second.lines).toEqual(["store_locked"]);
    await holder.kill();
    expect(fs.existsSync(path.join(subject.folder, "lock"))).toBe(true);
    const log = await subject.open();
    await using third = startChild("hold", subject.folder);
    await until("the third has tried", () => third.lines.length > 0);
    expect(third.lines).toEqual(["store_locked"]);
    await log.close();
  });

  test("is refused while the process that has it is stopped, and cannot take a call", async () => {
    await using subject = store();
    await using holder = startChild("hold", subject.folder);
    await until("it is open", () => holder.lines.length > 0);
    holder.process.kill("SIGSTOP");
    const waiting: net.Socket[] = [];
    try {
      let refused = false;
      while (!refused && waiting.length < 10_000) {
        const socket = net.connect(path.join(subject.folder, "lock"));
        waiting.push(socket);
        refused = await new Promise((resolve) => {
          socket.once("connect", () => resolve(false)).once("error", () => resolve(true));
        });
      }
      expect(refused).toBe(true);
      await expect(subject.open()).rejects.toMatchObject({ code: "store_locked" });
    } finally {
      for (const socket of waiting) socket.destroy();
    }
  });

  test("is won by one at most of many that find a dead lock, and by one soon", async () => {
    using folder = temporaryFolder();
    const socket = path.join(folder.path, "lock");
    for (let round = 0; round < 6; round++) {
      if (round % 2 === 0) {
        await using holder = startChild("hold", folder.path);
        await until("it is open", () => holder.lines.length > 0);
        await holder.kill();
      } else fs.writeFileSync(socket, "not a socket");
      const attempts = await Promise.allSettled(Array.from({ length: 5 }, () => lockStore(folder.path)));
      const won = attempts.filter((attempt) => attempt.status === "fulfilled");
      expect(won.length).toBeLessThanOrEqual(1);
      for (const { value } of won) await value.release();
      const alone = await lockStore(folder.path);
      await alone.release();
    }
  });

  test("may lie at a path that is longer than a socket's address", { skip: process.platform !== "linux" }, async () => {
    using root = temporaryFolder();
    const folder = path.join(root.path, ...Array.from({ length: 10 }, (_, at) => `${at}`.repeat(100)));
    const log = await openDiskLog(folder);
    await expect(openDiskLog(folder)).rejects.toMatchObject({ code: "store_locked" });
    await log.append([event("a")]);
    await log.close();
    expect(fs.readdirSync(folder).filter((name) => name === "lock")).toEqual([]);
    await using holder = startChild("hold", folder);
    await until("it is open", () => holder.lines.length > 0);
    await expect(openDiskLog(folder)).rejects.toMatchObject({ code: "store_locked" });
    await holder.kill();
    const again = await openDiskLog(folder);
    expect(again.tail).toBe(1);
    await again.close();
  });
});
