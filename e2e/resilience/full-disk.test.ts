/** A full disk: publishing is refused, reading goes on, and nothing that was acknowledged is lost or comes twice. */
import { execFile } from "node:child_process";
import fs from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { type HubProcess, startHub } from "../support/hub.js";
import { idsOf, Publisher } from "../support/publisher.js";
import { ask } from "../support/raw.js";
import { Subscriber } from "../support/subscriber.js";
import { until } from "../support/until.js";

const run = promisify(execFile);
const refusals = 1000;
const args = ["--retry", "50ms", "--log-level", "warn"];
const inCi = !["", "0", "false"].includes(process.env.CI ?? "");

/** A small disk of its own, in memory; undefined, with the reason, where this user may not mount one. */
async function mountSmallDisk(folder: string): Promise<string | undefined> {
  try {
    await run("mount", ["-t", "tmpfs", "-o", "size=12m", "tmpfs", folder]);
    return undefined;
  } catch (error) {
    return `a tmpfs cannot be mounted here: ${(error as Error).message.trim()}`;
  }
}

/** Takes all the room there is but so many bytes. */
function fill(file: string, leaveBytes: number): void {
  const { bavail, bsize } = fs.statfsSync(file.slice(0, file.lastIndexOf("/")));
  const fd = fs.openSync(file, "w");
  const page = Buffer.alloc(bsize);
  for (let left = bavail * bsize - leaveBytes; left >= bsize; left -= bsize) fs.writeSync(fd, page);
  fs.closeSync(fd);
}

test("a full disk refuses what is published, and costs nothing that was accepted", { timeout: 60_000 }, async ({
  skip,
}) => {
  const folder = await mkdtemp(join(tmpdir(), "millrace-full-"));
  const reason = await mountSmallDisk(folder);
  if (reason !== undefined) {
    await rm(folder, { recursive: true });
    if (inCi) throw new Error(reason);
    console.log(`skipped: ${reason}`);
    skip(reason);
  }
  const ballast = join(folder, "ballast");
  const acknowledged: string[] = []; // ids with data, in order
  let made = 0;
  let hub: HubProcess | undefined;
  const readers: Subscriber[] = [];
  try {
    hub = await startHub(args, { cwd: folder });
    const { url } = hub;
    const again = [...args, "--port", new URL(url).port];
    const publisher = new Publisher(url);
    const text = (bytes: number) => `${made++} `.padEnd(bytes, "x");
    /** Publishes once, and keeps account; answers with the status. */
    const publish = async (sizes: readonly number[], key?: string) => {
      const events = sizes.map((bytes) => ({ channel: "disk", data: text(bytes) }));
      const answer = await publisher.once(events, key);
      if (answer.status === 200)
        for (const [at, id] of idsOf(answer).entries()) acknowledged.push(`${id} ${events[at]?.data}`);
      else expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
      return answer.status;
    };
    const ready = async () => (await ask(url, "/ready")).status;
    const everyoneHasAll = async () => {
      const newcomer = new Subscriber(url, "/events?channel=disk&rewind=all");
      const all = [...readers, newcomer];
      await until(
        () => `all have ${acknowledged.length} events: ${all.map(({ events }) => events.length)}`,
        () => all.every(({ events }) => events.length >= acknowledged.length),
        5000,
      );
      newcomer.stop();
      for (const { events, gaps, refusals } of all) {
        expect(events.map(({ id, data }) => `${id} ${data}`)).toEqual(acknowledged);
        expect(gaps).toEqual([]);
        expect(refusals).toEqual([]);
      }
    };

    for (let at = 0; at < 5; at++) readers.push(new Subscriber(url, "/events?channel=disk"));
    await until(
      () => "all are connected",
      () => readers.every(({ connected }) => connected),
      5000,
    );
    expect(await ready()).toBe(200);
    for (let at = 0; at < 100; at++) expect(await publish([1000])).toBe(200);

    // Nearly full: what does not fit leaves nothing behind, what is smaller still has room.
    fill(ballast, 100_000);
    expect(await publish([150_000, 150_000], "too large")).toBe(507);
    expect(await ready()).toBe(503);
    expect(await publish([1000])).toBe(200);
    expect(await ready()).toBe(200);
    await everyoneHasAll();

    fill(`${ballast}-2`, 0);
    while ((await publish([1000])) === 200);
    for (let at = 0; at < refusals; at++) expect(await publish([1000], `refused-${at}`)).toBe(507);
    expect(await ready()).toBe(503);
    expect((await ask(url, "/health")).status).toBe(200);
    expect(readers.every(({ connected, dropped }) => connected && dropped === 0)).toBe(true);
    await everyoneHasAll();

    hub.kill("SIGKILL");
    await hub.exited;
    hub = await startHub(again, { cwd: folder });
    await until(
      () => "all are back",
      () => readers.every(({ opened, connected }) => connected && opened === 2),
      5000,
    );
    expect(await ready()).toBe(503);
    await everyoneHasAll();
    expect(await publish([1000])).toBe(507);
    await everyoneHasAll();

    fs.rmSync(ballast);
    fs.rmSync(`${ballast}-2`);
    await until(
      () => "it is ready again, without a publish to find out with",
      async () => (await ready()) === 200,
      5000,
    );
    for (let at = 0; at < 100; at++) expect(await publish([1000], `refused-${at}`)).toBe(200);
    expect(await publish([150_000, 150_000], "too large")).toBe(200);
    await everyoneHasAll();
    console.log(`${acknowledged.length} events acknowledged, ${made - acknowledged.length} refused`);
    expect(readers.every(({ opened }) => opened === 2)).toBe(true);
    publisher.stop();
  } finally {
    for (const reader of readers) reader.stop();
    await hub?.[Symbol.asyncDispose]();
    await run("umount", ["-l", folder]);
    await rm(folder, { recursive: true });
  }
});
