import fs from "node:fs";
import path from "node:path";
import { MillraceError } from "../../protocol/index.js";

/** Number of the format that this version writes, and the newest that it reads. */
export const storeFormat = 1;

/** @throws MillraceError `store_newer` */
export function refuseNewer(folder: string, format: number): void {
  if (format <= storeFormat) return;
  throw new MillraceError(
    "store_newer",
    `the store ${folder} has format ${format}, and this version of Millrace reads format ${storeFormat}: use a newer version, or another store`,
  );
}

/** Waits until what was created, renamed and removed in a folder is so on the disk. Windows has no such call, nor needs it. */
export function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const fd = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Throws when a small file finds no room. What a crash leaves of it goes with the leftovers of a rewrite. */
export function findRoom(folder: string): void {
  const file = path.join(folder, "room.log.new");
  try {
    fs.writeFileSync(file, Buffer.alloc(4096, 7), { flush: true });
  } finally {
    fs.rmSync(file, { force: true });
  }
}

/** A segment's file, and the sequences it stands for. */
export interface SegmentFile {
  readonly path: string;
  readonly base: number;
  /** Where the next file's range begins, less one; Infinity for the last. */
  end: number;
  /** Whether it was rewritten: then entries in its range that were dropped are missing, and it says where the range ends. */
  readonly rewritten: boolean;
}

/** The segments of a store by their base. Leftovers of a rewrite that a crash cut short are removed. */
export function listSegments(folder: string): SegmentFile[] {
  const all: SegmentFile[] = [];
  for (const name of fs.readdirSync(folder)) {
    const file = path.join(folder, name);
    if (/\.(log|json)\.new$/.test(name)) fs.rmSync(file);
    const range = parseSegmentName(name);
    if (range)
      all.push({ path: file, base: range.base, end: range.end ?? Infinity, rewritten: range.end !== undefined });
  }
  // Of files with one base the widest comes last: it is what the others were rewritten into.
  all.sort((a, b) => a.base - b.base || Number(a.rewritten) - Number(b.rewritten) || a.end - b.end);
  const files: SegmentFile[] = [];
  for (const file of all) {
    let before = files.at(-1);
    if (before?.rewritten && file.base <= before.end && (!file.rewritten || file.end <= before.end)) {
      fs.rmSync(file.path);
      continue;
    }
    while (before && before.base >= file.base) {
      fs.rmSync(before.path);
      files.pop();
      before = files.at(-1);
    }
    if (before && !before.rewritten) before.end = file.base - 1;
    files.push(file);
  }
  return files;
}

/** `<base>.log` while its range ends where the next begins; `<base>-<end>.log` once it was rewritten. */
export function segmentName(base: number, end?: number): string {
  const digits = (sequence: number) => String(sequence).padStart(16, "0");
  return `${digits(base)}${end === undefined ? "" : `-${digits(end)}`}.log`;
}

export function parseSegmentName(name: string): { base: number; end: number | undefined } | undefined {
  const match = /^(\d{16})(?:-(\d{16}))?\.log$/.exec(name);
  return match ? { base: Number(match[1]), end: match[2] === undefined ? undefined : Number(match[2]) } : undefined;
}
