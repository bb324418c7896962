/**
 * Incremental parser of the event-stream format (WHATWG HTML, "Interpreting an event stream") with one more field,
 * `channel`. Bytes in, events out, no I/O.
 *
 * Bytes wait until their line has ended; the finished lines are then decoded in one call. A line end is ASCII, so a
 * decoding never stops inside a UTF-8 sequence, and a long line in a thousand chunks is copied and decoded once: joining
 * strings chunk by chunk is quadratic.
 */
import { MillraceError } from "./errors.js";
import { utf8Bytes } from "./text.js";

export interface StreamEvent {
  /** The `event` field; "message" when the block had none or an empty one. */
  type: string;
  /** The `data` lines, joined by LF. */
  data: string;
  /** The last `id` of the stream so far, "" when there was none. */
  lastEventId: string;
  /** The `channel` field of this block alone; undefined when it had none or an empty one. */
  channel: string | undefined;
}

/** Called from `feed`, in the stream's order. What a handler throws leaves `feed`, and the parser is then dead. */
export interface ParserHandlers {
  onEvent(event: StreamEvent): void;
  /** A `retry` of ASCII digits, when its line ends. At most `Number.MAX_SAFE_INTEGER`. */
  onRetry?(retryMs: number): void;
  /** A comment, without its colon and one space after that, when its line ends. */
  onComment?(text: string): void;
  /** A block that had no data has changed the last event id. */
  onLastEventId?(id: string): void;
}

export interface ParserOptions {
  /**
   * Longest block, in bytes, its line ends and comments included, however it is cut into chunks. Default 16 MiB;
   * `Infinity` turns the cap off.
   */
  maxBlockBytes?: number;
}

export interface Parser {
  /**
   * Takes the next bytes of the response. What must wait is copied: the caller may use the chunk's memory again.
   * @throws MillraceError `block_too_large`. After this or any other error the parser is dead: `feed` throws the same
   * error until `reset`, since going on would hide a hole.
   */
  feed(chunk: Uint8Array): void;
  /** The id to reconnect with: that of the last finished block, never of one that was cut off. */
  readonly lastEventId: string;
  /**
   * Start of a new response: forgets the unfinished block, the byte order mark and an error; keeps `lastEventId`. Not
   * to be called by a handler: the rest of its chunk would still follow.
   */
  reset(): void;
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
const BYTE_ORDER_MARK = 0xfeff;
const DEFAULT_MAX_BLOCK_BYTES = 16 * 1024 * 1024;
const FIRST_BUFFER_BYTES = 256;
/** A larger buffer is let go once it is not needed: one huge event must not hold its memory for the stream's life. */
const KEPT_BUFFER_BYTES = 64 * 1024;

/** @throws MillraceError `invalid_option` when `maxBlockBytes` is not above 0 */
export function createParser(handlers: ParserHandlers, options: ParserOptions = {}): Parser {
  const { maxBlockBytes = DEFAULT_MAX_BLOCK_BYTES } = options;
  if (!(maxBlockBytes > 0)) {
    throw new MillraceError("invalid_option", `maxBlockBytes must be above 0 (Infinity: no cap), not ${maxBlockBytes}`);
  }
  let held = new Uint8Array(FIRST_BUFFER_BYTES); // the unfinished line
  let heldBytes = 0;
  let blockBytes = 0; // finished lines of the unfinished block
  let atStart = true;
  let afterCr = false; // the last byte was CR and has ended its line: an LF that follows belongs to it
  let failure: { error: unknown } | undefined;

  let lastEventId = "";
  let id = ""; // the standard's "last event ID buffer"
  let type = "";
  let channel = "";
  let data: string | undefined;

  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const streamDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let isAscii = true;

  /**
   * In Node, ASCII decodes up to six times as fast without `stream`, other text two to ten times as fast with it (20 to
   * 24), and a decoder that has streamed once stays slow: hence two. The text before tells which to take; as lines are
   * decoded whole, both give the same.
   */
  function decode(bytes: Uint8Array): string {
    const text = isAscii ? decoder.decode(bytes) : streamDecoder.decode(bytes, { stream: true });
    isAscii = text.length === bytes.length;
    return text;
  }

  function feed(chunk: Uint8Array): void {
    if (failure) throw failure.error;
    try {
      if (afterCr && chunk.length > 0) {
        afterCr = false;
        if (chunk[0] === LF) {
          chunk = chunk.subarray(1);
          if (blockBytes > 0) blockBytes++;
        }
      }
      const end = endOfLastLine(chunk);
      if (end > 0) {
        afterCr = chunk[chunk.length - 1] === CR;
        parseLines(decode(takeLines(chunk, end)));
      }
      assertSize(blockBytes + heldBytes + chunk.length - end);
      if (end < chunk.length) hold(chunk, end, chunk.length);
    } catch (error) {
      failure = { error };
      throw error;
    }
  }

  /** The held bytes and those of the chunk up to `end`, in one piece. */
  function takeLines(chunk: Uint8Array, end: number): Uint8Array {
    if (heldBytes === 0) {
      if (held.length > KEPT_BUFFER_BYTES) held = new Uint8Array(FIRST_BUFFER_BYTES);
      return end === chunk.length ? chunk : chunk.subarray(0, end);
    }
    hold(chunk, 0, end);
    const lines = held.subarray(0, heldBytes);
    heldBytes = 0;
    return lines;
  }

  function hold(chunk: Uint8Array, from: number, to: number): void {
    const total = heldBytes + to - from;
    if (total > held.length) {
      const larger = new Uint8Array(total * 2);
      larger.set(held.subarray(0, heldBytes));
      held = larger;
    }
    // For a few bytes the loop is cheaper than the calls.
    if (to - from > 16) held.set(chunk.subarray(from, to), heldBytes);
    else for (let i = from; i < to; i++) held[heldBytes + i - from] = chunk[i]!;
    heldBytes = total;
  }

  /** `text` ends with a line end. */
  function parseLines(text: string): void {
    let start = atStart && text.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : 0;
    atStart = false;
    let blockStart = 0;
    let lf = -1;
    let cr = find(text, "\r", start);
    while (start < text.length) {
      const first = text.charCodeAt(start);
      let end = start;
      if (first !== LF && first !== CR) {
        if (lf < start) lf = find(text, "\n", start);
        end = Math.min(lf, cr);
      }
      let next = end + 1;
      if (end === cr) {
        if (text.charCodeAt(next) === LF) next++;
        cr = find(text, "\r", next);
      }
      if (end > start) {
        parseLine(text, start, end);
      } else {
        // A UTF-16 unit is at most three bytes, so most blocks need no exact count.
        if (blockBytes + (end - blockStart) * 3 > maxBlockBytes) {
          assertSize(blockBytes + utf8Bytes(text.slice(blockStart, end)));
        }
        blockBytes = 0;
        blockStart = next;
        endBlock();
      }
      start = next;
    }
    blockBytes += isAscii ? start - blockStart : utf8Bytes(text.slice(blockStart));
  }

  function assertSize(bytes: number): void {
    if (bytes <= maxBlockBytes) return;
    throw new MillraceError("block_too_large", `A block is longer than maxBlockBytes (${maxBlockBytes})`);
  }

  function parseLine(text: string, start: number, end: number): void {
    const name = fieldName(text.charCodeAt(start));
    const from = valueStart(text, start, end, name);
    if (from < 0) return;
    const value = text.slice(from, end);
    if (name === "data") data = data === undefined ? value : `${data}\n${value}`;
    else if (name === "event") type = value;
    else if (name === "channel") channel = value;
    else if (name === "id") id = value.includes("\0") ? id : value;
    else if (name === "") handlers.onComment?.(value);
    else if (/^[0-9]+$/.test(value)) handlers.onRetry?.(Math.min(Number(value), Number.MAX_SAFE_INTEGER));
  }

  function endBlock(): void {
    if (data === undefined) {
      const moved = id !== lastEventId;
      clearBlock();
      if (moved) handlers.onLastEventId?.(id);
      return;
    }
    const event = { type: type || "message", data, lastEventId: id, channel: channel || undefined };
    clearBlock();
    handlers.onEvent(event);
  }

  function clearBlock(): void {
    lastEventId = id;
    type = channel = "";
    data = undefined;
  }

  function reset(): void {
    heldBytes = blockBytes = 0;
    atStart = true;
    afterCr = false;
    failure = undefined;
    id = lastEventId;
    clearBlock();
  }

  return {
    feed,
    reset,
    get lastEventId() {
      return lastEventId;
    },
  };
}

/** Where the bytes after the last line end begin; 0 when there is no line end. */
function endOfLastLine(chunk: Uint8Array): number {
  for (let i = chunk.length; i > 0; i--) {
    // Four bytes a step while none is below 14: a long line's chunks have no line end to find.
    while (i > 4 && Math.min(chunk[i - 1]!, chunk[i - 2]!, chunk[i - 3]!, chunk[i - 4]!) > CR) i -= 4;
    const byte = chunk[i - 1];
    if (byte === LF || byte === CR) return i;
  }
  return 0;
}

/** The text's length when there is no such line end. */
function find(text: string, lineEnd: string, from: number): number {
  const index = text.indexOf(lineEnd, from);
  return index < 0 ? text.length : index;
}

/** The field that a line can have by its first character; "" is a comment, or none that is known. */
function fieldName(first: number): string {
  if (first === 100 /* d */) return "data";
  if (first === 101 /* e */) return "event";
  if (first === 105 /* i */) return "id";
  if (first === 99 /* c */) return "channel";
  return first === 114 /* r */ ? "retry" : "";
}

/** Where the value begins in a line whose first character is that of `name`; -1 when its field is another. */
function valueStart(text: string, start: number, end: number, name: string): number {
  for (let i = 1; i < name.length; i++) if (text.charCodeAt(start + i) !== name.charCodeAt(i)) return -1;
  const colon = start + name.length;
  if (colon === end) return end;
  if (text.charCodeAt(colon) !== COLON) return -1;
  return text.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1;
}
