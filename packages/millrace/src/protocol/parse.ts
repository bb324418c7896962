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
  /** A `retry` of ASCII digits, when its line ends. It may be longer than a timer can wait, and `Infinity`. */
  onRetry?(retryMs: number): void;
  /** A comment, without its colon and one space after that, when its line ends. */
  onComment?(text: string): void;
  /** A block that had no data has changed the last event id. */
  onLastEventId?(id: string): void;
}

export interface ParserOptions {
  /**
   * Longest block, in characters as `String.length` counts them, its comments included and its line ends not, however it
   * is cut into chunks; a line that does not end may be longer by 1 KiB until that is told. Default 16 Mi; `Infinity` turns
   * the cap off.
   */
  maxBlockLength?: number;
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

/**
 * Incremental parser of the event-stream format (WHATWG HTML, "Interpreting an event stream") with one more field,
 * `channel`. Bytes in, events out.
 * @throws MillraceError `invalid_option` when `maxBlockLength` is not above 0
 */
export function createParser(handlers: ParserHandlers, { maxBlockLength = 2 ** 24 }: ParserOptions = {}): Parser {
  /** A few bytes without a line end wait here before they are decoded: each decoding has its price. */
  const held = new Uint8Array(1024);
  // Up to Node 22, ASCII decodes up to six times as fast without `stream`, other text two to ten times as fast with it,
  // and a decoder that has streamed once stays slow: hence two. The text before tells which to take.
  const wholeDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let streamDecoder: InstanceType<typeof TextDecoder>; // decodes the beginning, and drops the byte order mark there
  let isAscii: boolean | undefined; // what was decoded last, and no character was cut by its end
  let failure: { error: unknown } | undefined;
  let heldBytes: number;
  let afterCr: boolean | undefined; // the last character was CR and has ended its line: an LF that follows belongs to it
  let lastEventId = "";
  let line: string; // the unfinished line; only added to, since each search in it would copy it
  // The unfinished block, and how much longer it may get.
  let type: string;
  let data: string | undefined;
  let id: string;
  let channel: string | undefined;
  let room: number;

  function reset(): void {
    streamDecoder = new TextDecoder();
    isAscii = failure = afterCr = data = channel = undefined;
    line = "";
    type = "message";
    id = lastEventId;
    room = maxBlockLength;
    heldBytes = 0;
  }

  function feed(chunk: Uint8Array): void {
    if (failure) throw failure.error;
    try {
      const total = heldBytes + chunk.length;
      if (total <= held.length) {
        const ends = chunk.includes(10) || chunk.includes(13);
        if (heldBytes || !ends) {
          held.set(chunk, heldBytes);
          heldBytes = total;
          if (!ends) return;
          chunk = held.subarray(0, total);
        }
      } else if (heldBytes) decode(held.subarray(0, heldBytes));
      heldBytes = 0;
      decode(chunk);
    } catch (error) {
      failure = { error };
      throw error;
    }
  }

  function decode(bytes: Uint8Array): void {
    const isWhole = bytes[bytes.length - 1]! < 0x80; // no character is cut by its end
    let text = isAscii && isWhole ? wholeDecoder.decode(bytes) : streamDecoder.decode(bytes, { stream: true });
    isAscii = isWhole && text.length === bytes.length;
    let start = afterCr && text[0] === "\n" ? 1 : 0;
    if (text) afterCr = text.endsWith("\r");
    if (text.includes("\r")) text = text.replace(/\r(?!\n)/g, "\n");
    if (line) {
      // On its own: a text that was joined stays slower to read, and all of it would be copied.
      start = text.indexOf("\n") + 1;
      if (start > 0) {
        const first = line + text.slice(0, start);
        line = "";
        parse(first, 0);
      }
    }
    parse(text, start);
    assertFits(line.length);
  }

  /** Lines that end by LF or CRLF. */
  function parse(text: string, start: number): void {
    for (;;) {
      const next = text.indexOf("\n", start) + 1;
      if (next === 0) break;
      const end = text.charCodeAt(next - 2) === 13 ? next - 2 : next - 1;
      if (end > start) {
        assertFits(end - start);
        room -= end - start;
        // Engines compare up to three letters in place; a call for each field of each line took a fifth of all time.
        const name =
          text.startsWith("dat", start) && text[start + 3] === "a"
            ? "data"
            : text.startsWith("id", start)
              ? "id"
              : text.startsWith("eve", start) && text.startsWith("nt", start + 3)
                ? "event"
                : text.startsWith("channel", start)
                  ? "channel"
                  : text.startsWith("retry", start)
                    ? "retry"
                    : ""; // a comment is a field without a name
        const colon = start + name.length;
        if (colon === end || text.charCodeAt(colon) === 58) {
          const value = text.slice(text.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1, end);
          if (name === "data") data = data === undefined ? value : `${data}\n${value}`;
          else if (name === "event") type = value || "message";
          else if (name === "id") {
            if (!value.includes("\0")) id = value;
          } else if (name === "channel") channel = value || undefined;
          else if (name === "") handlers.onComment?.(value);
          else if (/^\d+$/.test(value)) handlers.onRetry?.(+value);
        }
      } else {
        room = maxBlockLength;
        if (data !== undefined) {
          lastEventId = id;
          handlers.onEvent({ type, data, lastEventId, channel });
          data = undefined;
        } else if (id !== lastEventId) {
          lastEventId = id;
          handlers.onLastEventId?.(id);
        }
        type = "message";
        channel = undefined;
      }
      start = next;
    }
    line += text.slice(start);
  }

  function assertFits(length: number, code: "block_too_large" | "invalid_option" = "block_too_large"): void {
    if (!(length <= room)) throw new MillraceError(code, `Block exceeds maxBlockLength: ${maxBlockLength}`);
  }

  reset();
  assertFits(1, "invalid_option"); // NaN, too
  return {
    feed,
    reset,
    get lastEventId() {
      return lastEventId;
    },
  };
}
