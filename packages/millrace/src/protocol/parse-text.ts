import { MillraceError } from "./errors.js";

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

/** Called from `feed`, in the stream's order. What one throws leaves `feed`, and the parser is then dead. */
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
   * Longest block, in characters as `String.length` counts them, its line ends and comments included, however it is cut
   * into chunks; a line that does not end may be longer by 1 KiB until that is told. Default 16 Mi; `Infinity` turns the
   * cap off.
   */
  maxBlockLength?: number;
}

/** Parser of decoded text. After an error it may only be `reset`. */
export interface TextParser {
  /**
   * Takes the next text, without the byte order mark. `isAscii` makes it faster where it is true.
   * @throws MillraceError `block_too_large`, and what a handler throws
   */
  feed(text: string, isAscii?: boolean): void;
  /** The id to reconnect with: that of the last finished block, never of one that was cut off. */
  readonly lastEventId: string;
  /** Start of a new response: forgets the unfinished block, keeps `lastEventId`. */
  reset(): void;
}

/**
 * Incremental parser of the event-stream format (WHATWG HTML, "Interpreting an event stream") with one more field,
 * `channel`. Text in, events out.
 * @throws MillraceError `invalid_option` when `maxBlockLength` is not above 0
 */
export function createTextParser(
  handlers: ParserHandlers,
  { maxBlockLength = 2 ** 24 }: ParserOptions = {},
): TextParser {
  if (!(maxBlockLength > 0)) {
    throw new MillraceError("invalid_option", `maxBlockLength must exceed 0: ${maxBlockLength}`);
  }
  let lastEventId = "";
  let line: string; // the unfinished line; only added to, since each search in it would copy it
  let block: { type: string; data?: string | undefined; id: string; channel?: string | undefined }; // the unfinished one
  let room: number; // how much longer the block may get after its finished lines
  let afterCr: boolean; // the last character was CR and has ended its line: an LF that follows belongs to it

  function reset(): void {
    line = "";
    block = { type: "message", id: lastEventId };
    room = maxBlockLength;
    afterCr = false;
  }

  function feed(text: string, isAscii?: boolean): void {
    let start = 0;
    if (line) {
      start = Math.min(find(text, "\n", 0), find(text, "\r", 0)) + 1;
      line += text.slice(0, start);
      if (start <= text.length) {
        // On its own: put in front of the text, it would have all of it copied.
        const finished = line;
        line = "";
        parse(finished, 0, finished.length - 1);
      }
    }
    parse(text, start, -1, isAscii);
    assertFits(line.length, room);
  }

  /** `lf` is where the first line end is; -1 when that is not known. */
  function parse(text: string, start: number, lf: number, isAscii?: boolean): void {
    const length = text.length;
    if (afterCr && start < length) {
      afterCr = false;
      if (text.charCodeAt(start) === 10) {
        start++;
        if (room < maxBlockLength) room--;
      }
    }
    let cr = find(text, "\r", lf < 0 ? start : lf);
    let blockStart = start;
    let left = room;
    let noNul: boolean | undefined;
    // Fields in local variables: in those of the closure they cost a fifth of the speed.
    let { type, data, id, channel } = block;
    while (start < length) {
      const first = text.charCodeAt(start);
      let end = start;
      if (first !== 10 /* LF */) {
        if (lf < start) lf = find(text, "\n", start);
        end = lf < cr ? lf : cr;
        if (end === length) break;
      }
      let next = end + 1;
      if (end === cr) {
        afterCr = next === length;
        if (text.charCodeAt(next) === 10) next++;
        cr = find(text, "\r", next);
      }
      if (end > start) {
        const from = valueStart(text, start, end, first);
        if (from) {
          const value = text.slice(from, end);
          if (first === 100 /* d */) data = data === undefined ? value : `${data}\n${value}`;
          else if (first === 101 /* e */) type = value || "message";
          else if (first === 105 /* i */) {
            // One search for all ids. Not where characters have two bytes: half of those are NUL, and it is slow.
            noNul ??= isAscii && !text.includes("\0");
            if (noNul || !value.includes("\0")) id = value;
          } else if (first === 99 /* c */) channel = value || undefined;
          else if (first === 58 /* : */) handlers.onComment?.(value);
          else if (/^\d+$/.test(value)) handlers.onRetry?.(Math.min(+value, 2 ** 53 - 1));
        }
      } else {
        assertFits(end - blockStart, left);
        left = maxBlockLength;
        blockStart = next;
        if (data !== undefined) {
          const event = { type, data, lastEventId: id, channel };
          lastEventId = id;
          data = undefined;
          handlers.onEvent(event);
        } else if (id !== lastEventId) {
          lastEventId = id;
          handlers.onLastEventId?.(id);
        }
        type = "message";
        channel = undefined;
      }
      start = next | 0; // else engines count in floating point
    }
    line += text.slice(start);
    block = { type, data, id, channel };
    room = left - start + blockStart;
  }

  function assertFits(length: number, room: number): void {
    if (length > room) {
      throw new MillraceError("block_too_large", `Block exceeds maxBlockLength: ${maxBlockLength}`);
    }
  }

  reset();
  return {
    feed,
    reset,
    get lastEventId() {
      return lastEventId;
    },
  };
}

/** The text's length when there is no such character. */
function find(text: string, character: string, from: number): number {
  const index = text.indexOf(character, from);
  return index < 0 ? text.length : index;
}

/** Where the value begins in a line; 0 when its field is none that is known. A comment is a field without a name. */
function valueStart(text: string, start: number, end: number, first: number): number {
  const at = (offset: number) => text.charCodeAt(start + offset);
  let colon = start;
  // Letter by letter where it counts: `startsWith` takes three times as long.
  if (first === 100) {
    if (at(1) !== 97 || at(2) !== 116 || at(3) !== 97) return 0;
    colon += 4;
  } else if (first === 101) {
    if (at(1) !== 118 || at(2) !== 101 || at(3) !== 110 || at(4) !== 116) return 0;
    colon += 5;
  } else if (first === 105) {
    if (at(1) !== 100) return 0;
    colon += 2;
  } else if (first === 99) {
    if (!text.startsWith("channel", start)) return 0;
    colon += 7;
  } else if (first === 114) {
    if (!text.startsWith("retry", start)) return 0;
    colon += 5;
  }
  if (text.charCodeAt(colon) === 58) return text.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1;
  return colon === end ? end : 0;
}
