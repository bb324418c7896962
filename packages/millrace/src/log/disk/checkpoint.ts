import fs from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import type { DropRecord } from "../channels.js";
import type { Epoch } from "../epochs.js";
import { refuseNewer, storeFormat, syncFolder } from "./files.js";

/** What a store knows beside its entries. Written whole, and put in place by a rename. */
export interface Checkpoint {
  readonly epochs: readonly Epoch[];
  readonly drops: DropRecord;
  /** Entries up to here may have been removed from the files; what they were is in `drops`. */
  readonly floor: number;
  /** Newest sequence when this was written: a store that ends before it has lost something. */
  readonly tail: number;
  /** Whether the store was closed in order. */
  readonly clean: boolean;
  /** Which start of the machine wrote this: after another one, writes that were never flushed may be missing. */
  readonly bootId: string;
  /** Whether each acknowledged entry was flushed to the disk. */
  readonly flushed: boolean;
}

const name = "checkpoint.json";

/**
 * The checkpoint of a store, `missing`, or `bad` when it cannot be believed.
 * @throws MillraceError `store_newer`
 */
export function readCheckpoint(folder: string): Checkpoint | "missing" | "bad" {
  let text: string;
  try {
    text = fs.readFileSync(path.join(folder, name), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "missing";
    throw error;
  }
  const [, format, body] = /^millrace-store (\d+) [0-9a-f]{8}\n(.*)$/s.exec(text) ?? [];
  if (format === undefined || body === undefined || text !== withSum(Number(format), body)) return "bad";
  refuseNewer(folder, Number(format));
  return JSON.parse(body) as Checkpoint;
}

/** Writes the checkpoint and waits until it is on the disk. */
export function writeCheckpoint(folder: string, checkpoint: Checkpoint): void {
  const target = path.join(folder, name);
  const temporary = `${target}.new`;
  try {
    const fd = fs.openSync(temporary, "w");
    try {
      fs.writeFileSync(fd, withSum(storeFormat, JSON.stringify(checkpoint)));
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, target);
  } catch (error) {
    fs.rmSync(temporary, { force: true }); // on a full disk what is half written takes the last of the room
    throw error;
  }
  syncFolder(folder);
}

/** The sum covers the format too: a damaged digit must not pass for a newer format. */
function withSum(format: number, body: string): string {
  const sum = crc32(`${format} ${body}`).toString(16).padStart(8, "0");
  return `millrace-store ${format} ${sum}\n${body}`;
}
