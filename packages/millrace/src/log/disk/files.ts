import fs from "node:fs";
import path from "node:path";
import { parseSegmentName } from "./segment.js";

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
    if (name.endsWith(".new")) fs.rmSync(file);
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
