import { crc32 } from "node:zlib";
import type { KeyRecord } from "../keys.js";

/*
 * A store's file is a header and frames; a frame is what was appended at once, little-endian:
 *   u32 magic | u32 bytes of the body | u32 CRC-32 of the rest of the head and the body
 *   u32 entries | f64 first sequence | f64 time in ms | u32 bytes of the records | u32 idempotency keys
 *   the records (see entry.ts), then the keys: u16 size, key, u16 size, digest, f64 first sequence, u32 count, f64 time
 */
/** FF 4D 52 FE: no UTF-8 holds FF or FE, so nothing that is published can look like a frame. */
const magic = 0xfe524dff;
const sumFrom = 12;
export const frameHeadBytes = 40;

export interface FrameContent {
  readonly entries: { readonly length: number };
  readonly records: Buffer;
  readonly keys: readonly KeyRecord[];
  readonly first: number;
  readonly timeMs: number;
}

export interface Frame {
  readonly entries: number;
  readonly first: number;
  readonly timeMs: number;
  /** The records lie in `[start, recordsEnd)`, the keys in `[recordsEnd, end)`. */
  readonly start: number;
  readonly recordsEnd: number;
  readonly end: number;
  readonly keys: number;
}

/** The buffers of a frame, to be written one behind the other. */
export function encodeFrame({ entries, records, keys, first, timeMs }: FrameContent): Buffer[] {
  const keyBytes = Buffer.concat(keys.map(encodeKey));
  const head = Buffer.allocUnsafe(frameHeadBytes);
  head.writeUInt32LE(magic, 0);
  head.writeUInt32LE(records.length + keyBytes.length, 4);
  head.writeUInt32LE(entries.length, 12);
  head.writeDoubleLE(first, 16);
  head.writeDoubleLE(timeMs, 24);
  head.writeUInt32LE(records.length, 32);
  head.writeUInt32LE(keys.length, 36);
  head.writeUInt32LE(crc32(keyBytes, crc32(records, crc32(head.subarray(sumFrom)))), 8);
  return keyBytes.length > 0 ? [head, records, keyBytes] : [head, records];
}

/** The frame at `at`; `short` when the bytes end before it does, `bad` when it is none or its checksum is wrong. */
export function decodeFrame(bytes: Buffer, at: number): Frame | "short" | "bad" {
  const left = bytes.length - at;
  if (left < frameHeadBytes) return "short";
  if (bytes.readUInt32LE(at) !== magic) return "bad";
  const bodyBytes = bytes.readUInt32LE(at + 4);
  if (left < frameHeadBytes + bodyBytes) {
    // All of it is there: then its size is what is damaged. An acknowledged frame must not pass for a write that was cut.
    return crc32(bytes.subarray(at + sumFrom)) === bytes.readUInt32LE(at + 8) ? "bad" : "short";
  }
  const start = at + frameHeadBytes;
  const end = start + bodyBytes;
  if (crc32(bytes.subarray(at + sumFrom, end)) !== bytes.readUInt32LE(at + 8)) return "bad";
  return {
    entries: bytes.readUInt32LE(at + 12),
    first: bytes.readDoubleLE(at + 16),
    timeMs: bytes.readDoubleLE(at + 24),
    start,
    recordsEnd: start + bytes.readUInt32LE(at + 32),
    end,
    keys: bytes.readUInt32LE(at + 36),
  };
}

/** Whether a whole frame lies anywhere behind `at`: then what is wrong there is damage, not the end of a cut write. */
export function frameFollows(bytes: Buffer, at: number): boolean {
  const mark = Buffer.alloc(4);
  mark.writeUInt32LE(magic);
  for (let next = bytes.indexOf(mark, at + 1); next >= 0; next = bytes.indexOf(mark, next + 1)) {
    if (typeof decodeFrame(bytes, next) === "object") return true;
  }
  return false;
}

export function readKeys(bytes: Buffer, frame: Frame): KeyRecord[] {
  const keys: KeyRecord[] = [];
  let at = frame.recordsEnd;
  const text = () => {
    const end = at + 2 + bytes.readUInt16LE(at);
    const value = bytes.toString("utf8", at + 2, end);
    at = end;
    return value;
  };
  for (let i = 0; i < frame.keys; i++) {
    const key = text();
    const digest = text();
    keys.push({
      key,
      digest,
      first: bytes.readDoubleLE(at),
      count: bytes.readUInt32LE(at + 8),
      timeMs: bytes.readDoubleLE(at + 12),
    });
    at += 20;
  }
  return keys;
}

function encodeKey({ key, digest, first, count, timeMs }: KeyRecord): Buffer {
  const keyBytes = Buffer.byteLength(key);
  const digestBytes = Buffer.byteLength(digest);
  const bytes = Buffer.allocUnsafe(24 + keyBytes + digestBytes);
  let at = bytes.writeUInt16LE(keyBytes, 0);
  at += bytes.write(key, at);
  at = bytes.writeUInt16LE(digestBytes, at);
  at += bytes.write(digest, at);
  at = bytes.writeDoubleLE(first, at);
  at = bytes.writeUInt32LE(count, at);
  bytes.writeDoubleLE(timeMs, at);
  return bytes;
}
