import fs from "node:fs";
import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import { openDiskLog } from "../../../src/log/disk/index.js";
import type { Log } from "../../../src/log/index.js";
import { copyStore, dataIn, event, long, readAll, select } from "../support.js";
import { changeCheckpoint, flipBit, readCheckpointFile, type Store, segmentFiles, snapshot, store } from "./store.js";

/** A store that was left open, with three appends, and its one file. */
async function abandoned(subject: Store): Promise<{ file: string; ends: number[]; positions: string[] }> {
  const log = await subject.open();
  const [file] = [path.join(subject.folder, "0000000000000001.log")];
  const ends: number[] = [];
  const positions: string[] = [];
  for (const data of ["first", "second", "third"]) {
    await log.append([event("a", data), event("b", data)], { idempotency: { key: data, digest: "d" } });
    ends.push(fs.statSync(file).size);
    positions.push(log.position(log.tail));
  }
  return { file, ends, positions };
}

let copies = 0;

/** Opens a copy of a store, with a change made to it. */
async function openChanged(
  subject: Store,
  change: (folder: string) => void,
  check: (log: Log, notices: readonly string[], folder: string) => Promise<void>,
): Promise<void> {
  const folder = `${subject.folder}-${copies++}`;
  copyStore(subject.folder, folder);
  change(folder);
  const notices: string[] = [];
  const log = await openDiskLog(folder, { onNotice: (notice) => notices.push(notice) });
  try {
    await check(log, notices, folder);
  } finally {
    await log.close();
  }
}

const range = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, at) => from + at * step);

/** Some at a time: most of the time of opening is waiting. */
async function forEach(values: readonly number[], work: (value: number) => Promise<void>): Promise<void> {
  const left = [...values];
  const worker = async () => {
    for (let value = left.shift(); value !== undefined; value = left.shift()) await work(value);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

const lastFile = (folder: string) => segmentFiles(folder).at(-1) as string;

describe("the end of a store", () => {
  test("may be torn at every byte of the last frame: it is cut, and what came before is intact", {
    timeout: 60_000,
  }, async () => {
    await using subject = store();
    const { ends, positions } = await abandoned(subject);
    const [, before = 0, end = 0] = ends;
    await forEach(range(before, end + 1), async (size) => {
      const torn = size > before && size < end;
      await openChanged(
        subject,
        (folder) => fs.truncateSync(lastFile(folder), size),
        async (log, notices, folder) => {
          expect(await dataIn(log, "a")).toEqual(["first", "second", ...(size === end ? ["third"] : [])]);
          expect(notices).toHaveLength(torn ? 1 : 0);
          if (torn) expect(notices[0]).toContain(`${size - before} bytes is cut`);
          expect(log.locate(positions[1] as string)).toEqual({ sequence: 4, lost: "no" });
          expect(log.locate(positions[2] as string)).toEqual(
            size === end ? { sequence: 6, lost: "no" } : { sequence: 4, lost: "yes" },
          );
          // Its sequences are given out again, in another name; and so is its key, for it was not acknowledged.
          const { first } = await log
            .append([event("a", "again")], { idempotency: { key: "third", digest: "e" } })
            .catch(() => ({ first: 0 }));
          expect(first).toBe(size === end ? 0 : 5);
          await log.close();
          const reopened = await openDiskLog(folder);
          expect(await dataIn(reopened, "a")).toEqual(["first", "second", size === end ? "third" : "again"]);
          if (size < end) expect(reopened.locate(positions[2] as string)).toEqual({ sequence: 4, lost: "yes" });
          await reopened.close();
        },
      );
    });
  });

  test("may be a file without its first bytes, or without any", async () => {
    await using subject = store();
    await abandoned(subject);
    for (let size = 0; size < 17; size++) {
      await openChanged(
        subject,
        (folder) => {
          const head = fs.readFileSync(lastFile(folder)).subarray(0, size);
          fs.writeFileSync(path.join(folder, "0000000000000007.log"), head);
        },
        async (log, _, folder) => {
          expect(log.tail).toBe(6);
          await log.append([event("a", "more")]);
          await log.close();
          const reopened = await openDiskLog(folder);
          expect(await dataIn(reopened, "a")).toEqual(["first", "second", "third", "more"]);
          await reopened.close();
        },
      );
    }
  });

  test("is cut and told as 'may' when any bit of the last frame is wrong", { timeout: 60_000 }, async () => {
    await using subject = store();
    const { ends, positions } = await abandoned(subject);
    const [, before = 0, end = 0] = ends;
    // Every bit of the head, where a frame says its size; and some of the rest.
    const bits = [
      ...range(before * 8, (before + 40) * 8, long ? 1 : 3),
      ...range((before + 40) * 8, end * 8, long ? 1 : 37),
    ];
    await forEach(bits, async (bit) => {
      await openChanged(
        subject,
        (folder) => flipBit(lastFile(folder), bit),
        async (log, notices) => {
          expect(await dataIn(log, "a")).toEqual(["first", "second"]);
          expect(notices).toHaveLength(2);
          expect(log.locate(positions[1] as string)).toEqual({ sequence: 4, lost: "may" });
          expect(log.locate(positions[2] as string)).toEqual({ sequence: 4, lost: "yes" });
        },
      );
    });
  });
});

describe("a loss at the end", () => {
  const torn = async (subject: Store) => {
    const log = await subject.open();
    const positions: string[] = [];
    for (let n = 1; n <= 5; n++) {
      await log.append([event("a", String(n))]);
      positions.push(log.position(n));
    }
    const folder = `${subject.folder}-torn`;
    copyStore(subject.folder, folder);
    flipBit(lastFile(folder), (fs.statSync(lastFile(folder)).size - 3) * 8);
    return { folder, positions };
  };
  /** Starts whose process dies at some step of what it changes in the folder, and the state that each leaves. */
  const statesOf = async (folder: string, work: () => Promise<unknown>): Promise<string[]> => {
    const states: string[] = [];
    const spies = (["openSync", "renameSync", "ftruncateSync", "rmSync"] as const).map((name) => {
      const real = fs[name] as (...args: unknown[]) => unknown;
      return vi.spyOn(fs, name).mockImplementation(((...args: unknown[]) => {
        const result = real(...args);
        if (!copying) {
          copying = true;
          const state = `${folder}-state-${states.length}`;
          copyStore(folder, state);
          states.push(state);
          copying = false;
        }
        return result;
      }) as never);
    });
    let copying = false;
    try {
      await work();
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
    return states;
  };
  const notices: string[] = [];
  const openAt = (folder: string) => openDiskLog(folder, { onNotice: (notice) => notices.push(notice) });

  test("is told also when the process that found it died at any step of its start", async () => {
    await using subject = store();
    const { folder, positions } = await torn(subject);
    const states = await statesOf(folder, () => openAt(folder).then((log) => log.close()));
    expect(states.length).toBeGreaterThan(4);
    for (const state of states) {
      const log = await openAt(state);
      expect(log.locate(positions[3] as string)).toEqual({ sequence: 4, lost: "may" });
      expect(log.locate(positions[4] as string)).toEqual({ sequence: 4, lost: "yes" });
      expect(await dataIn(log, "a")).toEqual(["1", "2", "3", "4"]);
      await log.append([event("a", "new")]);
      await log.close();
      const again = await openAt(state);
      expect(again.locate(positions[3] as string)).toEqual({ sequence: 4, lost: "may" });
      expect(await dataIn(again, "a")).toEqual(["1", "2", "3", "4", "new"]);
      await again.close();
    }
  });

  test("by a power cut too, with whole frames behind it and a file", async () => {
    await using subject = store({ retention: { totalBytes: 1e6 } });
    const log = await subject.open({ durability: "process" });
    for (let n = 1; n <= 150; n++) await log.append([event("a", "x".repeat(1000))]);
    const folder = `${subject.folder}-torn`;
    copyStore(subject.folder, folder);
    const position = log.position(10);
    changeCheckpoint(folder, { bootId: "an earlier start" });
    zero(segmentFiles(folder).at(-2) as string, 20_000, 4096);
    const states = await statesOf(folder, () => openAt(folder).then((each) => each.close()));
    for (const state of states) {
      const again = await openAt(state);
      expect(again.locate(position)).toEqual({ sequence: 10, lost: "may" });
      await again.close();
    }
  });
});

describe("damage anywhere else", () => {
  const expectSetAside = async (log: Log, notices: readonly string[], folder: string, positions: readonly string[]) => {
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatch(/is damaged .* set aside in .* a new one begins/);
    expect(log.tail).toBe(0);
    for (const position of positions) expect(log.locate(position)).toEqual({ sequence: 0, lost: "yes" });
    await log.append([event("a", "new")]);
    expect(await dataIn(log, "a")).toEqual(["new"]);
    const aside = fs.readdirSync(folder).find((name) => name.startsWith("damaged-"));
    return path.join(folder, aside ?? "none");
  };

  test("of one bit sets the store aside whole, as it was, and begins a new epoch", { timeout: 60_000 }, async () => {
    await using subject = store();
    const { ends, positions } = await abandoned(subject);
    const bits = [...range(0, 60 * 8, long ? 1 : 3), ...range(60 * 8, (ends[1] ?? 0) * 8, long ? 1 : 61)];
    await forEach(bits, async (bit) => {
      let before = {};
      await openChanged(
        subject,
        (folder) => {
          flipBit(lastFile(folder), bit);
          before = snapshot(folder);
        },
        async (log, notices, folder) => {
          expect(snapshot(await expectSetAside(log, notices, folder, positions))).toEqual(before);
        },
      );
    });
  });

  test("of the checkpoint does too, at every bit", { timeout: 60_000 }, async () => {
    await using subject = store();
    const { positions } = await abandoned(subject);
    const size = fs.statSync(path.join(subject.folder, "checkpoint.json")).size;
    await forEach([...range(0, 30 * 8, long ? 1 : 3), ...range(30 * 8, size * 8, long ? 1 : 67)], async (bit) => {
      await openChanged(
        subject,
        (folder) => flipBit(path.join(folder, "checkpoint.json"), bit),
        async (log, notices, folder) => {
          await expectSetAside(log, notices, folder, positions);
        },
      );
    });
  });

  test.each([
    ["a checkpoint that is missing", (folder: string) => fs.rmSync(path.join(folder, "checkpoint.json"))],
    ["a checkpoint that was cut", (folder: string) => fs.truncateSync(path.join(folder, "checkpoint.json"), 20)],
    ["a file in the middle that is missing", (folder: string) => fs.rmSync(segmentFiles(folder)[1] as string)],
    ["a file in the middle that was cut", (folder: string) => fs.truncateSync(segmentFiles(folder)[1] as string, 500)],
    ["a file in the middle that is empty", (folder: string) => fs.truncateSync(segmentFiles(folder)[1] as string, 0)],
  ])("%s sets the store aside", async (_, damage) => {
    await using subject = store({ retention: { totalBytes: 1e6 } });
    const log = await subject.open();
    for (let n = 0; n < 300; n++) await log.append([event("a", "x".repeat(1000))]);
    expect(segmentFiles(subject.folder).length).toBeGreaterThan(3);
    const position = log.position(10);
    await openChanged(subject, damage, async (changed, notices, folder) => {
      await expectSetAside(changed, notices, folder, [position]);
    });
  });

  test("leaves other files of the folder alone", async () => {
    await using subject = store();
    await abandoned(subject);
    await openChanged(
      subject,
      (folder) => {
        fs.rmSync(path.join(folder, "checkpoint.json"));
        for (const name of ["hub.log", "notes.new"]) fs.writeFileSync(path.join(folder, name), "mine");
      },
      async (_log, _notices, folder) => {
        expect(fs.readdirSync(folder)).toEqual(expect.arrayContaining(["hub.log", "notes.new"]));
      },
    );
  });
});

describe("what lies behind the last entry of a file that is not the last", () => {
  test.each([
    ["a whole frame", (next: Buffer) => next.subarray(16)],
    ["a part of a frame", (next: Buffer) => next.subarray(16, 500)],
    ["anything", () => Buffer.alloc(100, 7)],
  ])("was refused when a flush failed, and is of no concern: %s", async (_, leftover) => {
    await using subject = store({ retention: { totalBytes: 1e6 } });
    const log = await subject.open();
    for (let n = 1; n <= 200; n++) await log.append([event("a", `${n} ${"x".repeat(1000)}`)]);
    await log.close();
    const [first = "", second = ""] = segmentFiles(subject.folder);
    fs.appendFileSync(first, leftover(fs.readFileSync(second)));
    const again = await subject.open();
    expect((await dataIn(again, "a")).map((data) => Number.parseInt(data ?? "", 10))).toEqual(range(1, 201));
    expect(subject.notices).toEqual([]);
  });
});

describe("files that are missing at an end", () => {
  test("the newest, after an orderly end: the loss is told", async () => {
    await using subject = store({ retention: { totalBytes: 1e6 } });
    const log = await subject.open();
    for (let n = 0; n < 300; n++) await log.append([event("a", "x".repeat(1000))]);
    const positions = [log.position(10), log.position(300)] as const;
    await log.close();
    fs.rmSync(lastFile(subject.folder));
    const again = await subject.open();
    expect(again.tail).toBeLessThan(300);
    expect(again.locate(positions[0])).toEqual({ sequence: 10, lost: "may" });
    expect(again.locate(positions[1])).toEqual({ sequence: again.tail, lost: "yes" });
    expect(subject.notices).toHaveLength(1);
    expect((await again.append([event("a")])).first).toBe(again.tail);
  });

  test("the newest, with drops behind the tail: sequences that are given out again are not taken for dropped", async () => {
    await using subject = store({ retention: { totalBytes: 1e6, events: 1 } });
    const log = await subject.open();
    await log.append([event("b")]);
    for (let n = 0; n < 300; n++) await log.append([event("a", "x".repeat(1000))]);
    await log.close();
    fs.rmSync(lastFile(subject.folder));
    const again = await subject.open();
    const { tail } = again;
    expect(tail).toBeLessThan(290);
    for (let n = 0; n < 3; n++) {
      await again.append([event("a", "new"), event("c", "new")]);
      expect(await dataIn(again, "*")).toEqual(["x", "new", "new"]);
    }
    const { gap } = await again.read({ selection: select("a", "c"), after: tail + 4, limitBytes: 1e6 });
    expect(gap).toBeUndefined();
  });

  test("the oldest: the gap says may, of every channel", async () => {
    await using subject = store({ retention: { totalBytes: 1e6, events: 200 } });
    const log = await subject.open();
    await log.append(Array.from({ length: 201 }, () => event("dropped")));
    for (let n = 0; n < 150; n++) await log.append([event("a", "x".repeat(1000)), event("dropped")]);
    await log.close();
    fs.rmSync(segmentFiles(subject.folder)[0] as string);
    const again = await subject.open();
    for (const channel of ["a", "other", "*"]) {
      const { gap } = await again.read({ selection: select(channel), after: 151, limitBytes: 1 });
      expect(gap).toBeDefined();
    }
    const { entries } = await readAll(again, select("a"));
    expect(entries.length).toBeGreaterThan(0);
    const missing = (entries[0]?.sequence ?? 0) - 2;
    expect((await again.read({ selection: select("dropped"), after: missing, limitBytes: 1 })).gap).toBeDefined();
  });
});

describe("a newer format", () => {
  test.each([
    ["of the checkpoint", (folder: string) => changeCheckpoint(folder, {}, 2)],
    [
      "of a file",
      (folder: string) => {
        const bytes = fs.readFileSync(lastFile(folder));
        // The head of a file in format 2: mark, number, CRC-32 of both.
        Buffer.from("MILLRACE\x02\0\0\0", "latin1").copy(bytes);
        bytes.writeUInt32LE(0x8295ad20, 12);
        fs.writeFileSync(lastFile(folder), bytes);
      },
    ],
  ])("%s is refused, and left as it is", async (_, change) => {
    await using subject = store();
    await (await subject.open()).close();
    const log = await subject.open();
    await log.append([event("a")]);
    await log.close();
    change(subject.folder);
    const before = snapshot(subject.folder);
    await expect(subject.open()).rejects.toMatchObject({ code: "store_newer" });
    expect(snapshot(subject.folder)).toEqual(before);
    await expect(subject.open()).rejects.toMatchObject({ code: "store_newer" });
  });
});

describe("a power cut", () => {
  /** Entries 1 to 300 in some files, as a process leaves them that was killed; then the machine is started again. */
  async function cut(subject: Store, flushed: boolean, tear: (files: string[]) => void): Promise<Log> {
    const log = await subject.open({ durability: flushed ? "power" : "process", retention: { totalBytes: 1e6 } });
    for (let n = 1; n <= 300; n++) await log.append([event("a", `${n} ${"x".repeat(1000)}`)]);
    const copy = `${subject.folder}-copy`;
    copyStore(subject.folder, copy);
    await log.close();
    fs.rmSync(subject.folder, { recursive: true });
    fs.renameSync(copy, subject.folder);
    expect(readCheckpointFile(subject.folder)).toMatchObject({ clean: false, flushed });
    changeCheckpoint(subject.folder, { bootId: "an earlier start" });
    tear(segmentFiles(subject.folder));
    return subject.open({ retention: { totalBytes: 1e6 } });
  }
  const sequencesIn = async (log: Log) => (await readAll(log)).entries.map(({ sequence }) => sequence);

  test("that tore nothing is told as may, unless each entry was flushed", async () => {
    for (const flushed of [false, true]) {
      await using subject = store();
      const log = await cut(subject, flushed, () => {});
      expect(await sequencesIn(log)).toHaveLength(300);
      const position = (await readAll(log)).entries[9];
      expect(position?.sequence).toBe(10);
      expect(log.locate(log.position(10))).toEqual({ sequence: 10, lost: flushed ? "no" : "may" });
      expect(subject.notices).toHaveLength(flushed ? 0 : 1);
    }
  });

  test.each([
    ["zeros at the end", (files: string[]) => fs.appendFileSync(files.at(-1) as string, Buffer.alloc(5000))],
    ["zeros in the last file, with frames behind", (files: string[]) => zero(files.at(-1) as string, 3000, 3000)],
    ["the last file but one cut", (files: string[]) => fs.truncateSync(files.at(-2) as string, 30_000)],
    ["zeros in the last file but one", (files: string[]) => zero(files.at(-2) as string, 20_000, 4096)],
    ["the last file empty", (files: string[]) => fs.truncateSync(files.at(-1) as string, 0)],
    ["the last file missing", (files: string[]) => fs.rmSync(files.at(-1) as string)],
  ])("with %s costs the end of what was not flushed, and is told as may", async (_, tear) => {
    await using subject = store();
    const log = await cut(subject, false, tear);
    const sequences = await sequencesIn(log);
    expect(sequences).toEqual(Array.from({ length: log.tail }, (_, at) => at + 1));
    expect(log.tail).toBeGreaterThan(150);
    expect(log.locate(log.position(10))).toEqual({ sequence: 10, lost: "may" });
    const { first } = await log.append([event("a", "after")]);
    expect(first).toBe(sequences.length + 1);
    await log.close();
    const again = await subject.open();
    expect(await sequencesIn(again)).toHaveLength(first);
    expect(again.locate(again.position(first))).toEqual({ sequence: first, lost: "no" });
  });

  test("that tears a file further back is damage", async () => {
    await using subject = store();
    const log = await cut(subject, false, (files) => fs.truncateSync(files.at(-3) as string, 30_000));
    expect(log.tail).toBe(0);
    expect(subject.notices[0]).toMatch(/damaged/);
  });

  test("of a store that was flushed may only have torn what was not acknowledged", async () => {
    await using torn = store();
    const log = await cut(torn, true, (files) => fs.appendFileSync(files.at(-1) as string, Buffer.alloc(100)));
    expect(await sequencesIn(log)).toHaveLength(300);
    expect(log.locate(log.position(10))).toEqual({ sequence: 10, lost: "no" });
    await using damaged = store();
    const other = await cut(damaged, true, (files) => zero(files.at(-1) as string, 3000, 3000));
    expect(other.tail).toBe(0);
    expect(damaged.notices[0]).toMatch(/damaged/);
  });
});

function zero(file: string, from: number, length: number): void {
  const fd = fs.openSync(file, "r+");
  fs.writeSync(fd, Buffer.alloc(length), 0, length, from);
  fs.closeSync(fd);
}
