import { createTextParser, type ParserHandlers, type ParserOptions } from "./parse-text.js";

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
/** As many bytes without a line end wait before they are decoded: each decoding has its price. */
const HELD_BYTES = 1024;

/**
 * Incremental parser of an event stream, from its bytes.
 * @throws MillraceError `invalid_option` when `maxBlockLength` is not above 0
 */
export function createParser(handlers: ParserHandlers, options: ParserOptions = {}): Parser {
  const parser = createTextParser(handlers, options);
  const held = new Uint8Array(Math.min(HELD_BYTES, options.maxBlockLength ?? HELD_BYTES));
  // Up to Node 22, ASCII decodes up to six times as fast without `stream`, other text two to ten times as fast with it,
  // and a decoder that has streamed once stays slow: hence two. The text before tells which to take.
  const wholeDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let streamDecoder: InstanceType<typeof TextDecoder>; // decodes the beginning, and drops the byte order mark there
  let heldBytes: number;
  let isAscii: boolean; // what was decoded last
  let isWhole: boolean; // no character was cut by its end
  let failure: { error: unknown } | undefined;

  function reset(): void {
    parser.reset();
    streamDecoder = new TextDecoder();
    heldBytes = 0;
    isAscii = isWhole = false;
    failure = undefined;
  }

  function feed(chunk: Uint8Array): void {
    if (failure) throw failure.error;
    try {
      const total = heldBytes + chunk.length;
      const fits = total <= held.length;
      const waits = fits && !hasLineEnd(chunk);
      if (waits || (fits && heldBytes > 0)) {
        hold(chunk);
        if (waits) return;
        chunk = held.subarray(0, total);
      } else if (heldBytes > 0) decode(held.subarray(0, heldBytes));
      heldBytes = 0;
      decode(chunk);
    } catch (error) {
      failure = { error };
      throw error;
    }
  }

  function hold(bytes: Uint8Array): void {
    // For a few bytes the loop is cheaper than the call.
    if (bytes.length > 16) held.set(bytes, heldBytes);
    else for (let i = 0; i < bytes.length; i++) held[heldBytes + i] = bytes[i]!;
    heldBytes += bytes.length;
  }

  function decode(bytes: Uint8Array): void {
    const wasWhole = isWhole;
    isWhole = bytes[bytes.length - 1]! < 0x80;
    const text =
      isAscii && wasWhole && isWhole ? wholeDecoder.decode(bytes) : streamDecoder.decode(bytes, { stream: true });
    isAscii = text.length === bytes.length;
    parser.feed(text, isAscii);
  }

  reset();
  return {
    feed,
    reset,
    get lastEventId() {
      return parser.lastEventId;
    },
  };
}

function hasLineEnd(bytes: Uint8Array): boolean {
  for (let i = bytes.length; i > 0; ) {
    const byte = bytes[--i];
    if (byte === LF || byte === CR) return true;
  }
  return false;
}
