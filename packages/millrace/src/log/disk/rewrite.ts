import fs from "node:fs";
import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Channels } from "../channels.js";
import { recordBytes, recordChannel, recordSequence } from "../entry.js";
import { segmentName, syncFolder } from "./files.js";
import { decodeFrame, encodeFrame, type Frame, frameHeadBytes, readKeys } from "./frame.js";
import { Segment, segmentHead, segmentHeadBytes } from "./segment.js";
import type { Segments } from "./segments.js";

export interface RewriteParts {
  /** Neighbours, in order. */
  readonly run: readonly Segment[];
  /** The store's segments: the run is replaced in it. */
  readonly segments: Segments;
  readonly folder: string;
  readonly channels: Channels;
  /** Idempotency keys from then on are kept. */
  readonly keysSinceMs: number;
}

/** What the new file holds. */
interface Copy {
  readonly entries: Moved[];
  size: number;
  keyBytes: number;
  keyTimeMs: number;
}

/** Where the new file's entries lie. */
interface Moved {
  readonly channel: string;
  readonly sequence: number;
  readonly bytes: number;
  readonly place: number;
}

/** How many entries are moved in the index, or frames copied, in one turn of the event loop. */
const perTurn = 2000;
const writeBytes = 256 * 1024;
/** A file is read a piece at a time: whole ones, one behind the other, cost a hundred megabytes before the collector came. */
const readBytes = 1024 * 1024;

/**
 * The neighbours whose rewriting gives back most: around the one with most garbage, while the rest fits one file. What
 * is small joins in even without garbage, or a thousand small files would be left behind, each with an open descriptor.
 */
export function chooseRun(
  segments: readonly Segment[],
  active: Segment | undefined,
  limitBytes: number,
  keysSinceMs: number,
): Segment[] | undefined {
  const sealed = segments.filter((segment) => segment !== active);
  let most = 0;
  let at = -1;
  for (const [index, segment] of sealed.entries()) {
    const garbage = segment.garbage(keysSinceMs);
    if (garbage > most) [most, at] = [garbage, index];
  }
  if (at < 0) return undefined;
  let from = at;
  let to = at + 1;
  let live = (sealed[at] as Segment).liveBytes;
  const joins = (segment: Segment | undefined) =>
    segment !== undefined && segment.liveBytes < limitBytes / 2 && live + segment.liveBytes <= limitBytes;
  while (joins(sealed[to])) live += (sealed[to++] as Segment).liveBytes;
  while (joins(sealed[from - 1])) live += (sealed[--from] as Segment).liveBytes;
  return sealed.slice(from, to);
}

/**
 * Copies what is retained of a run of files into one that replaces them. Reading and appending go on meanwhile: the
 * work is cut into turns, and each entry is found in the old file until its turn has come.
 * @param checkpoint writes down what was dropped: it must be on the disk before the old files go
 */
export async function rewrite(parts: RewriteParts, checkpoint: () => void): Promise<void> {
  const { run, folder } = parts;
  const base = (run[0] as Segment).base;
  const end = (run.at(-1) as Segment).end;
  const file = path.join(folder, segmentName(base, end));
  const temporary = `${file}.new`;
  let target: Segment | undefined;
  let copied: Copy;
  try {
    copied = await copyRun(temporary, parts);
    target = Segment.open(file, base, base - 1, temporary);
    checkpoint();
    fs.renameSync(temporary, file);
  } catch (error) {
    target?.close();
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  target.size = copied.size;
  target.keyBytes = copied.keyBytes;
  target.keyTimeMs = copied.keyTimeMs;
  try {
    syncFolder(folder); // or a power cut could undo the renaming, and not the removals
  } finally {
    await replace(target, copied.entries, parts);
  }
  target.end = end;
}

async function copyRun(temporary: string, parts: RewriteParts): Promise<Copy> {
  const copy: Copy = { entries: [], size: segmentHeadBytes, keyBytes: 0, keyTimeMs: 0 };
  const file = await fs.promises.open(temporary, "w");
  try {
    let waiting = [segmentHead()];
    let writtenBytes = 0;
    const write = async () => {
      // Not `file.write`: a disk that fills up may take a part, and say nothing.
      await file.writeFile(Buffer.concat(waiting));
      waiting = [];
      writtenBytes = copy.size;
    };
    let window = Buffer.allocUnsafeSlow(readBytes);
    for (const segment of parts.run) {
      if (segment.isDone(parts.keysSinceMs)) continue;
      let frames = 0;
      for (let start = segmentHeadBytes; start < segment.size; ) {
        const bytes = await segment.readInto(window, start);
        let at = 0;
        while (at < bytes.length) {
          const frame = decodeFrame(bytes, at);
          if (frame === "short" && start + bytes.length < segment.size) break;
          if (typeof frame === "string") throw new Error(`${segment.path} is damaged at byte ${start + at}`);
          waiting.push(...copyFrame(bytes, frame, copy, parts));
          at = frame.end;
          if (copy.size - writtenBytes > writeBytes) await write();
          if (++frames % perTurn === 0) await nextTurn();
        }
        if (at === 0) window = Buffer.allocUnsafeSlow(window.length * 2); // a frame that is larger
        start += at;
      }
    }
    await write();
    await file.sync();
  } finally {
    await file.close();
  }
  return copy;
}

/** What is still needed of a frame, as a frame. */
function copyFrame(bytes: Buffer, frame: Frame, copy: Copy, { channels, keysSinceMs }: RewriteParts): Buffer[] {
  const records: Buffer[] = [];
  const entries: Moved[] = [];
  let place = copy.size + frameHeadBytes;
  for (let at = frame.start; at < frame.recordsEnd; ) {
    const size = recordBytes(bytes, at);
    const sequence = recordSequence(bytes, at);
    const channel = recordChannel(bytes, at);
    if (channels.has(channel, sequence)) {
      entries.push({ channel, sequence, bytes: size, place });
      records.push(bytes.subarray(at, at + size));
      place += size;
    }
    at += size;
  }
  const keys = readKeys(bytes, frame).filter(({ timeMs }) => timeMs >= keysSinceMs);
  if (entries.length === 0 && keys.length === 0) return [];
  const parts = encodeFrame({
    entries,
    records: Buffer.concat(records),
    keys,
    first: entries[0]?.sequence ?? frame.first,
    timeMs: frame.timeMs,
  });
  const recordsEnd = place;
  for (const part of parts) copy.size += part.length;
  copy.keyBytes += copy.size - recordsEnd;
  for (const { timeMs } of keys) copy.keyTimeMs = Math.max(copy.keyTimeMs, timeMs);
  for (const entry of entries) copy.entries.push(entry);
  return parts;
}

/** Lets the new file take over its range from the old ones, some entries each turn. */
async function replace(
  target: Segment,
  moved: readonly Moved[],
  { run, segments, channels }: RewriteParts,
): Promise<void> {
  // In front of the first old one, with the same base: an entry is looked for in the last file that begins before it.
  segments.list.splice(segments.list.indexOf(run[0] as Segment), 0, target);
  const left = [...run];
  for (let at = 0; at < moved.length; at += perTurn) {
    const part = moved.slice(at, at + perTurn);
    for (const { channel, sequence, bytes, place } of part) {
      if (channels.has(channel, sequence)) {
        channels.move(channel, sequence, place);
        target.liveBytes += bytes;
      } else target.deadBytes += bytes;
    }
    const through = (part.at(-1) as Moved).sequence;
    while (left[0] && left[0].end <= through) segments.remove(left.shift() as Segment);
    if (left[0]) left[0].base = through + 1;
    target.end = through;
    await nextTurn();
  }
  for (const segment of left) segments.remove(segment);
}
