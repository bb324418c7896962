import { type CheckedEvent, encodeBlock, formatPosition } from "../protocol/index.js";

/** An event that a log has accepted. Its encoded bytes are `bytes[start..end)`: shared, never changed. */
export interface Entry {
  readonly sequence: number;
  readonly timeMs: number;
  readonly channel: string;
  readonly key: string | undefined;
  /** Whether its data was published as something other than a string. */
  readonly json: boolean;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/*
 * A record is an entry as a store keeps it, little-endian:
 *   u32 size of the record | f64 sequence | f64 time in ms | u8 flags | u16 size of channel | u16 size of key
 *   channel | key | the event, encoded for the wire
 */
const headBytes = 25;
const jsonFlag = 1;
const keyFlag = 2;

/** A buffer that grows and is used again for every batch. */
export class Scratch {
  buffer = Buffer.allocUnsafeSlow(64 * 1024);
  used = 0;

  reserve(bytes: number): void {
    if (this.used + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.used + bytes));
    this.buffer.copy(larger, 0, 0, this.used);
    this.buffer = larger;
  }

  text(text: string): number {
    const written = this.buffer.write(text, this.used);
    this.used += written;
    return written;
  }

  /** A copy of what was written, and an empty scratch. One large publish does not keep its room for good. */
  take(): Buffer {
    const bytes = Buffer.allocUnsafeSlow(this.used);
    this.buffer.copy(bytes, 0, 0, this.used);
    this.used = 0;
    if (this.buffer.length > 4 * 1024 * 1024) this.buffer = Buffer.allocUnsafeSlow(64 * 1024);
    return bytes;
  }
}

/** An entry whose bytes do not lie where they will. */
export type WrittenEntry = { -readonly [Name in keyof Entry]: Entry[Name] };

/** Writes the record of an event; answers the entry as it will be read, but for `bytes`. */
export function writeRecord(
  to: Scratch,
  event: CheckedEvent,
  epoch: string,
  sequence: number,
  timeMs: number,
): WrittenEntry {
  const wire = encodeBlock({
    id: formatPosition(epoch, sequence),
    event: event.event,
    channel: event.channel,
    retry: event.retry,
    data: event.data,
  });
  const { channel, key = "", json } = event;
  const text = channel + key + wire;
  to.reserve(headBytes + text.length * 3); // at most three bytes a UTF-16 unit
  const start = to.used;
  to.used += headBytes;
  // One call, because calls are what costs: their parts are measured only when some character takes more than a byte.
  const ascii = to.text(text) === text.length;
  const channelBytes = ascii ? channel.length : Buffer.byteLength(channel);
  const keyBytes = ascii ? key.length : Buffer.byteLength(key);
  const wireStart = start + headBytes + channelBytes + keyBytes;
  const head = to.buffer;
  head.writeUInt32LE(to.used - start, start);
  head.writeDoubleLE(sequence, start + 4);
  head.writeDoubleLE(timeMs, start + 12);
  head[start + 20] = (json ? jsonFlag : 0) | (key === "" ? 0 : keyFlag);
  head.writeUInt16LE(channelBytes, start + 21);
  head.writeUInt16LE(keyBytes, start + 23);
  return { sequence, timeMs, channel, key: event.key, json, bytes: head, start: wireStart, end: to.used };
}

/** Size of the record at `start`. */
export const recordBytes = (bytes: Buffer, start: number): number => bytes.readUInt32LE(start);

/** Sequence of the record at `start`. */
export const recordSequence = (bytes: Buffer, start: number): number => bytes.readDoubleLE(start + 4);

/** Channel of the record at `start`. */
export const recordChannel = (bytes: Buffer, start: number): string =>
  bytes.toString("utf8", start + headBytes, start + headBytes + bytes.readUInt16LE(start + 21));

/** Whether the record at `start` has a key. */
export const recordHasKey = (bytes: Buffer, start: number): boolean => ((bytes[start + 20] as number) & keyFlag) !== 0;

/** The entry whose record begins at `start`. */
export function readRecord(bytes: Buffer, start: number): Entry {
  const flags = bytes[start + 20] as number;
  const channelEnd = start + headBytes + bytes.readUInt16LE(start + 21);
  const keyEnd = channelEnd + bytes.readUInt16LE(start + 23);
  return {
    sequence: recordSequence(bytes, start),
    timeMs: bytes.readDoubleLE(start + 12),
    channel: bytes.toString("utf8", start + headBytes, channelEnd),
    key: flags & keyFlag ? bytes.toString("utf8", channelEnd, keyEnd) : undefined,
    json: (flags & jsonFlag) !== 0,
    bytes,
    start: keyEnd,
    end: start + recordBytes(bytes, start),
  };
}
