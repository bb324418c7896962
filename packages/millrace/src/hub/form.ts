import type { Entry } from "../log/index.js";
import { createParser, encodeBlock, reservedEventPrefix, type StreamEvent } from "../protocol/index.js";
import type { SharedPart } from "../sink/index.js";

/**
 * How entries are written for a subscriber. `event`: as they lie in the log. `envelope`: channel, event, id, time and
 * data as one JSON text without an event name, so that `onmessage` of a native EventSource gets all of them.
 */
export type Form = "event" | "envelope";
export const forms: readonly Form[] = ["event", "envelope"];

/** Encoded entries, to be written at once. */
export interface Chunk {
  readonly bytes: Buffer;
  /** Sequence of the last entry in it. */
  readonly last: number;
  readonly entries: number;
  /** The same bytes in the compressed stream of the group. */
  readonly shared?: SharedPart | undefined;
}

/** A slow peer holds one chunk at most: so this bounds what it costs. */
export const chunkBytes = 64 * 1024;

/** Encodes entries once, for every subscriber that reads them in this form. */
export function encodeEntries(entries: readonly Entry[], form: Form): Chunk[] {
  const chunks: Chunk[] = [];
  let parts: Buffer[] = [];
  let bytes = 0;
  let last = 0;
  const close = () => {
    if (parts.length > 0) chunks.push({ bytes: join(parts, bytes), last, entries: parts.length });
    parts = [];
    bytes = 0;
  };
  for (const entry of entries) {
    const part = encodeEntry(entry, form);
    if (bytes + part.length > chunkBytes) close();
    parts.push(part);
    bytes += part.length;
    last = entry.sequence;
  }
  close();
  return chunks;
}

/** An entry as it is written in this form. */
export function encodeEntry(entry: Entry, form: Form): Buffer {
  return form === "event" ? entry.bytes.subarray(entry.start, entry.end) : envelope(entry);
}

/** One entry goes out as it lies, unless that would keep a much larger buffer in memory for it. */
function join(parts: Buffer[], bytes: number): Buffer {
  const [only] = parts;
  return parts.length === 1 && only && only.buffer.byteLength <= 2 * bytes + 1024 ? only : Buffer.concat(parts, bytes);
}

/** The fields of an entry, read back from its bytes. */
export function decodeEntry(entry: Entry): StreamEvent & { readonly retry: number | undefined } {
  let event: StreamEvent | undefined;
  let retry: number | undefined;
  const parser = createParser({
    onEvent: (parsed) => {
      event = parsed;
    },
    onRetry: (ms) => {
      retry = ms;
    },
  });
  parser.feed(entry.bytes.subarray(entry.start, entry.end));
  return { ...(event as unknown as StreamEvent), retry };
}

function envelope(entry: Entry): Buffer {
  const { type, data, lastEventId: id, retry } = decodeEntry(entry);
  if (type.startsWith(reservedEventPrefix)) return entry.bytes.subarray(entry.start, entry.end);
  const head = JSON.stringify({ channel: entry.channel, event: type, id, time: entry.timeMs });
  const value = entry.json ? data : JSON.stringify(data);
  return Buffer.from(encodeBlock({ id, retry, data: `${head.slice(0, -1)},"data":${value}}` }));
}
