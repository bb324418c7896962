import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { fields, long, readAll, until } from "../support.js";
import { startChild } from "./child.js";
import { store } from "./store.js";

interface Acknowledged {
  readonly first: number;
  readonly data: readonly string[];
  readonly key?: string;
  readonly position: string;
}

/** Rewritten files, also those that are not yet in place. */
const isRewritten = (name: string) => /^\d{16}-\d{16}\.log/.test(name);

describe("kill -9 of a process that appends at full speed", () => {
  test.each([
    ["process", {}],
    ["power", {}],
    // Nearly all is dropped at once, so that a kill also meets the rewriting and the removing of files.
    ["process", { events: 50 }],
  ] as const)(
    "durability %s, retention %j: everything acknowledged is there",
    { timeout: 600_000 },
    async (durability, limits) => {
      await using subject = store();
      const perChannel = "events" in limits ? limits.events : Infinity;
      const acknowledged: Acknowledged[] = [];
      const rounds = (perChannel === Infinity ? 10 : 3) * (long ? 4 : 1);
      for (let round = 0; round < rounds; round++) {
        const options = { durability, retention: { totalBytes: long ? 64e6 : 8e6, ...limits } };
        await using child = startChild("append", subject.folder, JSON.stringify(options));
        const enough = 20 + ((round * 7919) % 400);
        await until("it appends", () => child.lines.length > enough, 60_000);
        if (perChannel !== Infinity) {
          await until("a file is rewritten", () => fs.readdirSync(subject.folder).some(isRewritten), 60_000);
        }
        await child.kill();
        acknowledged.push(...child.lines.map((line) => JSON.parse(line) as Acknowledged));

        const log = await subject.open(options);
        const { entries, gap } = await readAll(log);
        if (perChannel === Infinity) expect(gap).toBeUndefined();
        expect(entries.length).toBeLessThanOrEqual(9 * perChannel + round + 1);
        const found = new Map(entries.map((entry) => [entry.sequence, fields(entry).data]));
        const tail = log.tail;
        for (const { first, data, position } of acknowledged) {
          for (const [at, text] of data.entries()) {
            const sequence = first + at;
            if (sequence > tail - perChannel || text.startsWith("quiet") || found.has(sequence))
              expect(found.get(sequence)).toBe(text);
          }
          expect(log.locate(position)).toEqual({ sequence: first + data.length - 1, lost: "no" });
        }
        for (const { key, first, data } of acknowledged.slice(-20)) {
          if (!key) continue;
          const again = await log.append([], { idempotency: { key, digest: "d" } });
          expect(again).toEqual({ first, count: data.length, repeated: true });
        }
        expect(log.tail).toBe(tail);
        await log.close();
      }
      if (perChannel !== Infinity) {
        const log = await subject.open({ retention: { totalBytes: 8e6, keyAgeMs: 0, ...limits } });
        await until("it is tidy", () => log.stats().storedBytes < log.stats().bytes * 2.5 + 6 * 128 * 1024);
      }
      for (const notice of subject.notices) expect(notice).toMatch(/unfinished write/);
    },
  );
});
