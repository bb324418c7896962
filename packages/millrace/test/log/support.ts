import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { openDiskLog } from "../../src/log/disk/index.js";
import type { Entry, Gap, Log, MemoryLogOptions } from "../../src/log/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import {
  type CheckedEvent,
  checkEvent,
  parseSelection,
  type Selection,
  selectionOf,
} from "../../src/protocol/index.js";

/** Set by `MILLRACE_LONG=1`: random and heavy tests run for minutes then, not for seconds. */
export const long = process.env.MILLRACE_LONG === "1";

export const event = (
  channel: string,
  data: unknown = "x",
  more: { key?: string; event?: string } = {},
): CheckedEvent => checkEvent({ channel, data, ...more });

/** An event on a channel that nobody may publish to. */
export const own = (channel: string, data: unknown = "x"): CheckedEvent => ({ ...event("own", data), channel });

export const select = (...patterns: string[]): Selection =>
  patterns.some((pattern) => pattern.startsWith("@"))
    ? selectionOf(
        patterns.filter((pattern) => !pattern.endsWith("*")),
        patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1)),
      )
    : parseSelection(patterns);

/** An entry's lines on the wire, by field. */
export function fields({ bytes, start, end }: Entry): Record<string, string> {
  const text = bytes.toString("utf8", start, end);
  const found: Record<string, string> = {};
  for (const line of text.split("\n").slice(0, -2)) {
    const colon = line.indexOf(": ");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 2);
    found[name] = name in found ? `${found[name]}\n${value}` : value;
  }
  return found;
}

export const dataOf = (entries: readonly Entry[]): (string | undefined)[] => entries.map((entry) => fields(entry).data);

/** Reads on until the tail. */
export async function readAll(
  log: Log,
  selection: Selection = select("*"),
  after = 0,
  limitBytes = 64 * 1024,
  conflate = false,
): Promise<{ entries: Entry[]; gap: Gap | undefined }> {
  const entries: Entry[] = [];
  const first = await log.read({ selection, after, limitBytes, conflate });
  let slice = first;
  for (;;) {
    entries.push(...slice.entries);
    if (slice.next >= log.tail) return { entries, gap: first.gap };
    slice = await log.read({ selection, after: slice.next, limitBytes, conflate, knownDrops: log.drops });
  }
}

export const dataIn = async (log: Log, ...patterns: string[]) =>
  dataOf((await readAll(log, select(...patterns))).entries);

/** Waits for a condition; fails when it does not come about. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, withinMs = 8000): Promise<void> {
  const endMs = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`waited ${withinMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A folder of its own, removed with the test. */
export function temporaryFolder(): { path: string } & Disposable {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "millrace-log-"));
  return { path: folder, [Symbol.dispose]: () => fs.rmSync(folder, { recursive: true, force: true }) };
}

/** What a process leaves that is gone at once: its files, and a lock that nobody holds. */
export function copyStore(from: string, to: string): void {
  fs.mkdirSync(to, { recursive: true });
  for (const name of fs.readdirSync(from)) {
    if (name !== "lock") fs.copyFileSync(path.join(from, name), path.join(to, name));
  }
}

/** A log under test, and a way to let it go through something that must change nothing. */
interface Subject extends AsyncDisposable {
  readonly log: Log;
  settle(): Promise<void>;
}

export type StartSubject = (options?: MemoryLogOptions) => Promise<Subject>;

export const startMemory: StartSubject = async (options) => {
  const log = createMemoryLog(options);
  return { log, settle: async () => {}, [Symbol.asyncDispose]: () => log.close() };
};

/** Over the disk driver. `reopened`: closed and opened again. `abandoned`: the files as they are, opened by another. */
export function startDisk(
  settling: "kept" | "reopened" | "abandoned",
  more: { cacheBytes?: number } = {},
): StartSubject {
  return async (options) => {
    const root = temporaryFolder();
    const opened: Log[] = [];
    const notices: string[] = [];
    let folder = path.join(root.path, "0");
    const open = async () => {
      const log = await openDiskLog(folder, { ...options, ...more, onNotice: (notice) => notices.push(notice) });
      opened.push(log);
      return log;
    };
    let log = await open();
    return {
      get log() {
        return log;
      },
      settle: async () => {
        if (settling === "reopened") await log.close();
        if (settling === "abandoned") {
          const copy = path.join(root.path, String(opened.length));
          copyStore(folder, copy);
          folder = copy;
        }
        if (settling !== "kept") log = await open();
      },
      [Symbol.asyncDispose]: async () => {
        await Promise.all(opened.map((each) => each.close()));
        root[Symbol.dispose]();
        if (notices.length > 0) throw new Error(`the store noticed something: ${notices.join("; ")}`);
      },
    };
  };
}
