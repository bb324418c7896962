import fs from "node:fs";
import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Channels } from "../channels.js";
import { recordBytes, recordChannel, recordSequence } from "../entry.js";
import { decodeFrame, encodeFrame, type Frame, frameHeadBytes, readKeys } from "./frame.js";
import { Segment, segmentHead, segmentHeadBytes, segmentName } from "./segment.js";
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

/** Where the rewritten file's entries lie. */
interface Moved {
  readonly channel: string;
  readonly sequence: number;
  readonly bytes: number;
  readonly place: number;
}

/** How many entries are moved in the index, or frames copied, in one turn of the event loop. */
const perTurn = 2000;

/** The neighbours whose rewriting gives back most: around the one with most dropped bytes, while the rest fits one file. */
export function chooseRun(
  segments: readonly Segment[],
  active: Segment | undefined,
  limitBytes: number,
): Segment[] | undefined {
  const garbage = ({ size, liveBytes }: Segment) => size - segmentHeadBytes - liveBytes;
  const sealed = segments.filter((segment) => segment !== active);
  let best: Segment | undefined;
  for (const segment of sealed) if (garbage(segment) > (best ? garbage(best) : 0)) best = segment;
  if (!best) return undefined;
  const at = sealed.indexOf(best);
  let from = at;
  let to = at + 1;
  let live = best.liveBytes;
  const worthwhile = (segment: Segment | undefined) =>
    segment !== undefined && live + segment.liveBytes <= limitBytes && segment.liveBytes < segment.size / 2;
  while (worthwhile(sealed[to])) live += (sealed[to++] as Segment).liveBytes;
  while (worthwhile(sealed[from - 1])) live += (sealed[--from] as Segment).liveBytes;
  return sealed.slice(from, to);
}

/**
 * Copies what is retained of a run of files into one that replaces them. Reading and appending go on meanwhile: the
 * work is cut into turns, and each entry is found in the old file until its turn has come.
 * @param checkpoint writes down what was dropped: it must be on the disk before the old files go
 */
export async function rewrite(
  { run, segments, folder, channels, keysSinceMs }: RewriteParts,
  checkpoint: () => void,
): Promise<void> {
  const base = (run[0] as Segment).base;
  const end = (run.at(-1) as Segment).end;
  const target = path.join(folder, segmentName(base, end));
  const temporary = `${target}.new`;
  const moved: Moved[] = [];
  let keyTimeMs = 0;
  let size = segmentHeadBytes;
  const file = await fs.promises.open(temporary, "w");
  try {
    await file.write(segmentHead());
    for (const segment of run) {
      const bytes = await segment.readAll();
      let frames = 0;
      for (let at = segmentHeadBytes; at < bytes.length; ) {
        const frame = decodeFrame(bytes, at);
        if (typeof frame === "string") throw new Error(`${segment.path} is damaged at byte ${at}`);
        at = frame.end;
        const kept = retained(bytes, frame, channels, size + frameHeadBytes);
        const keys = readKeys(bytes, frame).filter(({ timeMs }) => timeMs >= keysSinceMs);
        if (kept.length > 0 || keys.length > 0) {
          const first = kept[0]?.sequence ?? frame.first;
          const records = kept.map(({ source, bytes: length }) => bytes.subarray(source, source + length));
          const parts = encodeFrame({
            entries: kept,
            records: Buffer.concat(records),
            keys,
            first,
            timeMs: frame.timeMs,
          });
          for (const part of parts) size += part.length;
          await file.write(Buffer.concat(parts));
          for (const entry of kept) moved.push(entry);
          for (const { timeMs } of keys) keyTimeMs = Math.max(keyTimeMs, timeMs);
        }
        if (++frames % perTurn === 0) await nextTurn();
      }
    }
    await file.sync();
  } catch (error) {
    await fs.promises.rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  checkpoint();
  fs.renameSync(temporary, target);
  const rewritten = Segment.open(target, base, base - 1);
  rewritten.size = size;
  rewritten.keyTimeMs = keyTimeMs;
  await replace(rewritten, { run, segments, moved, channels });
  rewritten.end = end;
}

interface Kept extends Moved {
  /** Where the record lies in the old file. */
  readonly source: number;
}

function retained(bytes: Buffer, frame: Frame, channels: Channels, place: number): Kept[] {
  const kept: Kept[] = [];
  let next = place;
  for (let source = frame.start; source < frame.recordsEnd; ) {
    const size = recordBytes(bytes, source);
    const sequence = recordSequence(bytes, source);
    const channel = recordChannel(bytes, source);
    if (channels.has(channel, sequence)) {
      kept.push({ channel, sequence, bytes: size, place: next, source });
      next += size;
    }
    source += size;
  }
  return kept;
}

/** Lets the new file take over its range from the old ones, some entries each turn. */
async function replace(
  target: Segment,
  { run, segments, moved, channels }: Pick<RewriteParts, "run" | "segments" | "channels"> & { moved: readonly Moved[] },
): Promise<void> {
  // In front of the first old one, with the same base: an entry is looked for in the last file that begins before it.
  segments.list.splice(segments.list.indexOf(run[0] as Segment), 0, target);
  const left = [...run];
  for (let at = 0; at < moved.length; at += perTurn) {
    const part = moved.slice(at, at + perTurn);
    for (const { channel, sequence, bytes, place } of part) {
      if (!channels.has(channel, sequence)) continue;
      channels.move(channel, sequence, place);
      target.liveBytes += bytes;
    }
    const through = (part.at(-1) as Moved).sequence;
    while (left[0] && left[0].end <= through) segments.remove(left.shift() as Segment);
    if (left[0]) left[0].base = through + 1;
    target.end = through;
    await nextTurn();
  }
  for (const segment of left) segments.remove(segment);
}
