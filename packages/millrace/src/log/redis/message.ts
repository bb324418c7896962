import type { Entry } from "../entry.js";
import { jsonFlag, messageHeadBytes, valueHeadBytes } from "./layout.js";

/** What is known of a channel's drops: see `Channels`. */
export interface Drops {
  readonly dropped: number;
  readonly droppedAt: number;
  /** The same for conflated readers. */
  readonly missed: number;
  readonly missedAt: number;
}

/** An entry with the sequence of the one before it in its channel: so a hole is seen. */
export interface LinkedEntry extends Entry {
  readonly previous: number;
}

/** What a script has published on a channel. Without entries it tells of drops. */
export interface Message {
  readonly channel: string;
  readonly drops: Drops;
  /** `Log.drops` at the time. */
  readonly allDrops: number;
  readonly entries: readonly LinkedEntry[];
}

export function decodeMessage(channel: string, bytes: Buffer): Message {
  const drops = {
    dropped: bytes.readDoubleLE(0),
    droppedAt: bytes.readDoubleLE(8),
    missed: bytes.readDoubleLE(16),
    missedAt: bytes.readDoubleLE(24),
  };
  const entries: LinkedEntry[] = [];
  for (let at = messageHeadBytes; at < bytes.length; ) {
    const sequence = bytes.readDoubleLE(at);
    const start = at + 12;
    const end = start + bytes.readUInt32LE(at + 8);
    entries.push(decodeValue(channel, sequence, bytes, start, end));
    at = end;
  }
  return { channel, drops, allDrops: bytes.readDoubleLE(32), entries };
}

/** An entry as its stream has it. */
export function decodeValue(
  channel: string,
  sequence: number,
  bytes: Buffer,
  from = 0,
  end = bytes.length,
): LinkedEntry {
  const keyStart = from + valueHeadBytes;
  const start = keyStart + bytes.readUInt16LE(from + 33);
  return {
    sequence,
    timeMs: bytes.readDoubleLE(from + 24),
    channel,
    key: start > keyStart ? bytes.toString("utf8", keyStart, start) : undefined,
    json: ((bytes[from + 32] as number) & jsonFlag) !== 0,
    bytes,
    start,
    end,
    previous: bytes.readDoubleLE(from),
  };
}
