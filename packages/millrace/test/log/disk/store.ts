import fs from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import type { Checkpoint } from "../../../src/log/disk/checkpoint.js";
import { type DiskLogOptions, openDiskLog } from "../../../src/log/disk/index.js";
import type { Log } from "../../../src/log/index.js";
import { temporaryFolder } from "../support.js";

/** A store's folder with all that a test does to it, and what the store noticed. */
export interface Store extends AsyncDisposable {
  readonly folder: string;
  readonly notices: string[];
  open(options?: DiskLogOptions): Promise<Log>;
}

export function store(defaults: DiskLogOptions = {}): Store {
  const root = temporaryFolder();
  const opened: Log[] = [];
  const notices: string[] = [];
  const folder = path.join(root.path, "store");
  return {
    folder,
    notices,
    open: async (options) => {
      const log = await openDiskLog(folder, { ...defaults, ...options, onNotice: (notice) => notices.push(notice) });
      opened.push(log);
      return log;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((log) => log.close()));
      root[Symbol.dispose]();
    },
  };
}

export const segmentFiles = (folder: string): string[] =>
  fs
    .readdirSync(folder)
    .filter((name) => name.endsWith(".log"))
    .sort()
    .map((name) => path.join(folder, name));

const checkpointFile = (folder: string) => path.join(folder, "checkpoint.json");

export function readCheckpointFile(folder: string): Checkpoint {
  return JSON.parse(fs.readFileSync(checkpointFile(folder), "utf8").split("\n")[1] ?? "");
}

/** Writes it as the store would, but with changes. */
export function changeCheckpoint(folder: string, changes: Partial<Checkpoint>, format = 1): void {
  const body = JSON.stringify({ ...readCheckpointFile(folder), ...changes });
  const sum = crc32(`${format} ${body}`).toString(16).padStart(8, "0");
  fs.writeFileSync(checkpointFile(folder), `millrace-store ${format} ${sum}\n${body}`);
}

export function flipBit(file: string, bit: number): void {
  const bytes = fs.readFileSync(file);
  const byte = bit >> 3;
  bytes[byte] = (bytes[byte] as number) ^ (1 << (bit & 7));
  fs.writeFileSync(file, bytes);
}

/** All files of a folder with their content. */
export function snapshot(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of fs.readdirSync(folder).sort()) {
    const file = path.join(folder, name);
    if (fs.statSync(file).isFile()) found[name] = fs.readFileSync(file).toString("base64");
  }
  return found;
}
