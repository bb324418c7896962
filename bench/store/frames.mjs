// The frame of the segment candidate.
//
//   frame = magic u32 | crc32 u32 | length u32 | sequence f64 | payload     (crc32 covers all that follows it)
import { crc32 } from "node:zlib";

const HEADER_BYTES = 20;
// Bytes that valid UTF-8 never holds, so no published text can contain a frame of its own.
const MAGIC = Buffer.from([0xff, 0xfe, 0xfd, 0xfc]);
const MAGIC_NUMBER = MAGIC.readUInt32BE();

/** No frame is longer; a greater length in a header is damage. */
export const SEGMENT_BYTES = 8 * 1024 * 1024;

export const frameBytes = (payload) => HEADER_BYTES + payload.length;

/** Writes one frame into `target` and returns where it ends. */
export function writeFrame(target, at, seq, payload) {
  const end = at + HEADER_BYTES + payload.length;
  target.writeUInt32BE(MAGIC_NUMBER, at);
  target.writeUInt32LE(payload.length, at + 8);
  target.writeDoubleLE(seq, at + 12);
  payload.copy(target, at + HEADER_BYTES);
  target.writeUInt32LE(crc32(target.subarray(at + 8, end)), at + 4);
  return end;
}

/** Calls `onFrame(seq, start, end)` for each sound frame; returns where the next read must begin. */
export function walkFrames(buffer, length, atEnd, onFrame) {
  let at = 0;
  while (at + HEADER_BYTES <= length) {
    const end = at + HEADER_BYTES + buffer.readUInt32LE(at + 8);
    const isFrame = buffer.readUInt32BE(at) === MAGIC_NUMBER;
    if (isFrame && end > length && end - at < SEGMENT_BYTES && !atEnd) return at;
    if (isFrame && end <= length && crc32(buffer.subarray(at + 8, end)) === buffer.readUInt32LE(at + 4)) {
      onFrame(buffer.readDoubleLE(at + 12), at + HEADER_BYTES, end);
      at = end;
      continue;
    }
    // Damage: go on at the next frame. Stopping here would lose every acknowledged event behind one bad byte.
    const next = buffer.subarray(0, length).indexOf(MAGIC, at + 1);
    if (next === -1) return atEnd ? length : Math.max(at + 1, length - 3);
    at = next;
  }
  return at;
}
