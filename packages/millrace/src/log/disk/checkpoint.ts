import fs from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import type { DropRecord } from "../channels.js";
import type { Epoch } from "../epochs.js";

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

/** The checkpoint of a store, `missing`, or `bad` when it cannot be believed. */
export function readCheckpoint(folder: string): Checkpoint | "missing" | "bad" {
  let text: string;
  try {
    text = fs.readFileSync(path.join(folder, name), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "missing";
    throw error;
  }
  const end = text.indexOf("\n");
  const body = text.slice(end + 1);
  if (end < 0 || text.slice(0, end) !== sum(body)) return "bad";
  return JSON.parse(body) as Checkpoint;
}

/** Writes the checkpoint and waits until it is on the disk. */
export function writeCheckpoint(folder: string, checkpoint: Checkpoint): void {
  const target = path.join(folder, name);
  const body = JSON.stringify(checkpoint);
  const temporary = `${target}.new`;
  const fd = fs.openSync(temporary, "w");
  try {
    fs.writeFileSync(fd, `${sum(body)}\n${body}`);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(temporary, target);
}

const sum = (body: string): string => `millrace-store 1 ${crc32(body).toString(16).padStart(8, "0")}`;
