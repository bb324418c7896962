import fs from "node:fs";
import type { Channels } from "../channels.js";
import { recordBytes, recordChannel, recordHasKey, recordSequence } from "../entry.js";
import type { Keys } from "../keys.js";
import { unread } from "../latest.js";
import { type Checkpoint, readCheckpoint } from "./checkpoint.js";
import { listSegments, refuseNewer, type SegmentFile, syncFolder } from "./files.js";
import { decodeFrame, type Frame, frameFollows, readKeys } from "./frame.js";
import { Segment, segmentFormat, segmentHeadBytes } from "./segment.js";
import type { Segments } from "./segments.js";

/** A store that was read through. */
export interface Recovered {
  /** Undefined for a new store. */
  readonly checkpoint: Checkpoint | undefined;
  readonly tail: number;
  /** Set when the end is torn. */
  readonly torn: Torn | undefined;
  /** Whether acknowledged entries may be missing at the end. */
  readonly lost: boolean;
}

/**
 * An end that is to be cut. Not at once: a fault that is gone tells the next start nothing, so the loss must be on the
 * disk first, as the new epoch.
 */
export interface Torn {
  readonly bytes: number;
  /** What explains the fault. The checkpoint must go on to say it until the end is cut, or that would be damage. */
  readonly cause: Pick<Checkpoint, "bootId" | "flushed">;
  /** Cuts it. May be called again when it fails. */
  cut(): void;
}

export interface RecoveryParts {
  readonly folder: string;
  readonly bootId: string;
  readonly segments: Segments;
  readonly channels: Channels;
  readonly keys: Keys;
}

/** A store that cannot be read as it was written. */
export class Damage extends Error {}

/** Where a file stops to make sense. */
interface Fault {
  readonly at: number;
  /** `short`: it ends in the middle of a frame, as a write that was cut leaves it. */
  readonly kind: "short" | "bad";
  /** Whether whole frames follow. */
  readonly followed: boolean;
}

/**
 * Reads a store through: every checksum, every entry's place, into the parts given. What a crash may have torn at the
 * end is left out; anything else that is wrong is `Damage`: a store is never half read.
 * @throws MillraceError `store_newer`
 */
export function recover(parts: RecoveryParts): Recovered {
  const { folder, bootId, channels, segments } = parts;
  const checkpoint = readCheckpoint(folder);
  if (checkpoint === "bad") throw new Damage("its checkpoint is damaged");
  const files = listSegments(folder);
  if (checkpoint === "missing") {
    if (files.length > 0) throw new Damage("its checkpoint is missing");
    return { checkpoint: undefined, tail: 0, torn: undefined, lost: false };
  }
  // Files that a crash kept from being removed; a power cut may have taken only some of them.
  while (files[0] && files[0].end <= checkpoint.floor) fs.rmSync((files.shift() as SegmentFile).path);
  let tail = files[0] ? files[0].base - 1 : checkpoint.floor;
  // A full disk let files go before it could be written what was in them: so that loss is said as "may".
  channels.restore(checkpoint.drops, tail > checkpoint.floor ? tail : 0, Date.now());

  // While the machine runs, what was written stays: only a write that was cut may stand at the end. After a power cut
  // any write since the last flush may be missing, and files are flushed one behind the one that is written to.
  const rebooted = !checkpoint.clean && checkpoint.bootId !== bootId;
  const unflushed = rebooted && !checkpoint.flushed;
  let tornBytes = 0;
  let fault: Fault | undefined;
  const behind: string[] = [];
  for (const [at, file] of files.entries()) {
    if (fault) {
      tornBytes += fs.statSync(file.path).size;
      behind.push(file.path);
      continue;
    }
    if (file.base !== tail + 1) throw new Damage(`the entries ${tail + 1} to ${file.base - 1} are missing`);
    const segment = Segment.open(file.path, file.base, file.end);
    segments.list.push(segment);
    const bytes = fs.readFileSync(file.path);
    const read = readSegment(bytes, file, segment, tail, parts);
    tail = file.rewritten ? file.end : read.tail;
    fault = read.fault;
    const last = at === files.length - 1;
    if (fault) {
      const torn = !file.rewritten && (unflushed ? at >= files.length - 2 : last && !fault.followed);
      if (!torn) throw new Damage(`${file.path} is damaged at byte ${fault.at}`);
      tornBytes = Math.max(0, bytes.length - fault.at);
      segment.end = Infinity;
    } else if (!last && tail !== file.end) throw new Damage(`${file.path} ends before entry ${file.end}`);
  }
  channels.endRestore(tail);
  // What a dead process left to the system to write is this run's to promise: it says so of all files but its last two.
  if (!checkpoint.clean) for (const segment of segments.list.slice(-2)) segment.flushSync();
  const lost = tail < checkpoint.tail || (rebooted ? unflushed : fault?.kind === "bad");
  const cut = () => {
    for (const file of behind) fs.rmSync(file, { force: true });
    if (behind.length > 0) syncFolder(folder); // one that a power cut brought back would stand behind new entries
    const last = segments.list.at(-1) as Segment;
    last.begin(); // its first bytes may be torn too
    last.cut(last.size);
  };
  return { checkpoint, tail, torn: fault && { bytes: tornBytes, cause: checkpoint, cut }, lost };
}

function readSegment(
  bytes: Buffer,
  file: SegmentFile,
  segment: Segment,
  before: number,
  { channels, keys, folder }: RecoveryParts,
): { tail: number; fault: Fault | undefined } {
  const format = segmentFormat(bytes);
  if (format === undefined) {
    const kind = bytes.length < segmentHeadBytes ? "short" : "bad";
    return { tail: before, fault: { at: segmentHeadBytes, kind, followed: frameFollows(bytes, -1) } };
  }
  refuseNewer(folder, format);
  const nowMs = Date.now();
  let tail = before;
  let at = segmentHeadBytes;
  // What lies behind the file's last entry was never acknowledged: a flush of it failed, and the next file began.
  while (at < bytes.length && tail < file.end) {
    const frame = decodeFrame(bytes, at);
    if (typeof frame === "string") return { tail, fault: { at, kind: frame, followed: frameFollows(bytes, at) } };
    const fits = file.rewritten ? frame.first > tail || frame.entries === 0 : frame.first === tail + 1;
    if (!fits) throw new Damage(`${file.path} has entry ${frame.first} behind entry ${tail}`);
    tail = takeEntries(bytes, frame, segment, channels, tail);
    for (const key of readKeys(bytes, frame)) {
      keys.restore(key, nowMs);
      segment.keyTimeMs = Math.max(segment.keyTimeMs, key.timeMs);
    }
    segment.keyBytes += frame.end - frame.recordsEnd;
    at = frame.end;
    segment.size = at;
  }
  return { tail, fault: undefined };
}

function takeEntries(bytes: Buffer, frame: Frame, segment: Segment, channels: Channels, before: number): number {
  let tail = before;
  for (let at = frame.start; at < frame.recordsEnd; ) {
    const size = recordBytes(bytes, at);
    const channel = recordChannel(bytes, at);
    tail = recordSequence(bytes, at);
    if (channels.has(channel, tail)) {
      segment.liveBytes += size;
      channels.add(channel, tail, size, at, frame.timeMs, recordHasKey(bytes, at) ? unread : undefined);
    } else segment.deadBytes += size;
    at += size;
  }
  return tail;
}
