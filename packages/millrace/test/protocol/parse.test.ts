import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { MillraceError } from "../../src/protocol/errors.js";
import { createParser, type Parser, type ParserOptions } from "../../src/protocol/parse.js";
import { type Call, parseCases } from "./parse-cases.js";

const utf8 = (text: string) => new TextEncoder().encode(text);
const toBytes = (input: string | Uint8Array) => (typeof input === "string" ? utf8(input) : input);

function recordingParser(options?: ParserOptions): { calls: Call[]; parser: Parser } {
  const calls: Call[] = [];
  const parser = createParser(
    {
      onEvent: (event) => calls.push({ event }),
      onRetry: (retryMs) => calls.push({ retryMs }),
      onComment: (comment) => calls.push({ comment }),
      onLastEventId: (id) => calls.push({ movedTo: id }),
    },
    options,
  );
  return { calls, parser };
}

/** Feeds the chunks from one buffer that is overwritten each time, as a reader with its own buffer does. */
function parse(chunks: Iterable<Uint8Array>, options?: ParserOptions): { calls: Call[]; lastEventId: string } {
  const { calls, parser } = recordingParser(options);
  for (const chunk of chunks) {
    const lent = chunk.slice();
    parser.feed(lent);
    lent.fill(0x2a);
  }
  return { calls, lastEventId: parser.lastEventId };
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
  return chunks;
}

/** Cuts at these fractions of the length. */
function cutAt(bytes: Uint8Array, fractions: number[]): Uint8Array[] {
  const cuts = fractions.map((fraction) => Math.round(fraction * bytes.length)).sort((a, b) => a - b);
  return [0, ...cuts].map((from, i) => bytes.subarray(from, cuts[i] ?? bytes.length));
}

/**
 * The standard's text, sentence by sentence, over the whole stream: slow and plainly right. ("stream = [ bom ] *event",
 * "UTF-8 decode" strips one BOM.)
 */
function parseByTheStandard(bytes: Uint8Array): { calls: Call[]; lastEventId: string } {
  const calls: Call[] = [];
  const lines = new TextDecoder().decode(bytes).split(/\r\n|\n|\r/);
  lines.pop(); // "Once the end of the file is reached, any pending data must be discarded."
  let dataBuffer = "";
  let typeBuffer = "";
  let idBuffer = "";
  let channelBuffer = "";
  let lastEventId = "";
  for (const line of lines) {
    if (line === "") {
      const moved = idBuffer !== lastEventId;
      lastEventId = idBuffer;
      if (dataBuffer === "") {
        if (moved) calls.push({ movedTo: lastEventId });
      } else {
        const data = dataBuffer.endsWith("\n") ? dataBuffer.slice(0, -1) : dataBuffer;
        const channel = channelBuffer === "" ? undefined : channelBuffer;
        calls.push({ event: { type: typeBuffer === "" ? "message" : typeBuffer, data, lastEventId, channel } });
      }
      dataBuffer = typeBuffer = channelBuffer = "";
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (colon === 0) calls.push({ comment: value });
    if (field === "event") typeBuffer = value;
    if (field === "data") dataBuffer += `${value}\n`;
    if (field === "id" && !value.includes("\0")) idBuffer = value;
    if (field === "channel") channelBuffer = value;
    if (field === "retry" && /^[0-9]+$/.test(value)) calls.push({ retryMs: Number(value) });
  }
  return { calls, lastEventId };
}

function lastIdOf(calls: Call[]): string {
  const ids = calls.map((call) =>
    "event" in call ? call.event.lastEventId : "movedTo" in call ? call.movedTo : undefined,
  );
  return ids.findLast((id) => id !== undefined) ?? "";
}

describe.each(parseCases)("$name", ({ input, calls, lastEventId = lastIdOf(calls) }) => {
  const bytes = toBytes(input);
  const expected = { calls, lastEventId };

  it("in one chunk", () => expect(parse([bytes])).toEqual(expected));
  it("in two chunks, cut anywhere", () => {
    for (let at = 0; at <= bytes.length; at++) {
      expect(parse([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toEqual(expected);
    }
  });
  it("byte by byte", () => expect(parse(cut(bytes, 1))).toEqual(expected));
  it("byte by byte with empty chunks between", () => {
    const empty = new Uint8Array(0);
    expect(parse(cut(bytes, 1).flatMap((chunk) => [empty, chunk, empty]))).toEqual(expected);
  });
  it("after other text in the same stream", () => {
    if (bytes[0] === 0xef) return; // a BOM only counts at the start
    const before = utf8(`: é\n: ${"x".repeat(300)}\r\n\r\n`);
    const all = Uint8Array.from([...before, ...bytes]);
    expect(parse(cut(all, 100)).calls.slice(2)).toEqual(calls);
  });
});

describe("against the standard's text", () => {
  const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
  const lineEnd = fc.constantFrom("\n", "\r", "\r\n");

  it("any events, line ends, comments, unknown fields and chunks", () => {
    const value = fc.string({ unit: "binary", maxLength: 30 }).map((text) => text.replace(/[\r\n]/g, "\u2028"));
    const name = fc.constantFrom("data", "data", "event", "id", "channel", "retry", "", "unknown", "dat", "Data");
    const field = fc.oneof(
      fc.tuple(name, fc.constantFrom(":", ": "), value).map((parts) => parts.join("")),
      fc.nat().map((retryMs) => `retry: ${retryMs}`),
      name.filter((text) => text !== ""),
    );
    const line = fc.oneof({ weight: 3, arbitrary: field }, { weight: 1, arbitrary: fc.constant("") });
    const lineEnds = fc.constantFrom(fc.constant("\n"), fc.constant("\r"), fc.constant("\r\n"), lineEnd);
    const stream = lineEnds.chain((end) => fc.array(fc.tuple(line, end), { maxLength: 40 }));
    fc.assert(
      fc.property(stream, fc.boolean(), fractions, (lines, bom, cuts) => {
        const text = lines.flat().join("");
        const bytes = utf8((bom ? "\ufeff" : "") + text);
        const expected = parseByTheStandard(bytes);
        expect(parse(cutAt(bytes, cuts))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  // Around the sizes at which the parser changes its way: what it holds back, and what it decodes with which decoder.
  it("long lines, ASCII or not, in chunks of any size", () => {
    const letters = fc.constantFrom("a", "é", "€", "😀", "\ufffd");
    const stretch = fc
      .tuple(fc.array(letters, { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 900 }))
      .map(([pattern, count]) => pattern.join("").repeat(count));
    const line = fc
      .tuple(fc.constantFrom("data: ", "id: ", "event: ", ": ", "unknown: "), fc.array(stretch, { maxLength: 3 }))
      .map(([name, value]) => name + value.join(""));
    const block = fc.tuple(fc.array(line, { maxLength: 4 }), fc.constantFrom("\n", "\r", "\r\n"));
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 5000 })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.array(block, { minLength: 1, maxLength: 6 }), sizes, (blocks, lengths) => {
        const bytes = utf8(blocks.map(([lines, end]) => lines.map((text) => text + end).join("") + end).join(""));
        const chunks: Uint8Array[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = lengths[i % lengths.length]!;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(parse(chunks)).toEqual(parseByTheStandard(bytes));
      }),
      { numRuns: 300 },
    );
  });

  it("any bytes", () => {
    const text = fc.constantFrom(..."\r|\n|\r\n|data|data:|event|id|id: |channel: |: |:| |a|\0|é|😀|\ufeff".split("|"));
    const piece = fc.oneof(
      { weight: 6, arbitrary: text.map((part) => [...utf8(part)]) },
      { weight: 1, arbitrary: fc.constantFrom([0xff], [0xe2, 0x82], [0xf0, 0x9f], [0xef, 0xbb], [0x80], [0xc3]) },
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), fractions, (pieces, cuts) => {
        const bytes = Uint8Array.from(pieces.flat());
        const expected = parseByTheStandard(bytes);
        expect(parse(cutAt(bytes, cuts))).toEqual(expected);
        expect(parse(cut(bytes, 1))).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });
});

it("a piece whose text is as long as its bytes need not be ASCII", () => {
  // Of the second chunk, one byte makes two characters and one makes none yet.
  const chunks = [[..."\ndata: "].map((letter) => letter.charCodeAt(0)).concat(0xf0, 0x9f, 0x98)];
  chunks.push([0x80, ...[..."\ndata: "].map((letter) => letter.charCodeAt(0)), 0xc3], [0xa9, 10, 10]);
  const { calls } = parse(chunks.map((chunk) => Uint8Array.from(chunk)));
  expect(calls).toEqual([expect.objectContaining({ event: expect.objectContaining({ data: "😀\né" }) })]);
});

describe("at once", () => {
  it("a bare CR ends a line without waiting for an LF", () => {
    const { calls, parser } = recordingParser();
    parser.feed(utf8("data: a\r\r"));
    expect(calls).toHaveLength(1);
    parser.feed(utf8("\ndata: b\n"));
    parser.feed(utf8("\r"));
    expect(calls).toHaveLength(2);
  });

  it("a comment and a retry are told before their block ends", () => {
    const { calls, parser } = recordingParser();
    parser.feed(utf8(": a\rretry: 5\r"));
    expect(calls).toEqual([{ comment: "a" }, { retryMs: 5 }]);
  });

  it("lastEventId moves with the blank line", () => {
    const { parser } = recordingParser();
    parser.feed(utf8("id: 1\n"));
    expect(parser.lastEventId).toBe("");
    parser.feed(utf8("\n"));
    expect(parser.lastEventId).toBe("1");
  });

  it("an event's handler already sees its lastEventId", () => {
    const seen: string[] = [];
    const parser = createParser({ onEvent: () => seen.push(parser.lastEventId) });
    parser.feed(utf8("id: 1\ndata: a\n\nid: 2\ndata: b\n\n"));
    expect(seen).toEqual(["1", "2"]);
  });
});

describe("reset", () => {
  it("forgets the unfinished block and its id, keeps lastEventId", () => {
    const { calls, parser } = recordingParser();
    parser.feed(utf8("id: 1\ndata: a\n\nid: 2\nevent: x\nchannel: y\ndata: b\ndata: c"));
    parser.reset();
    expect(parser.lastEventId).toBe("1");
    parser.feed(utf8("data: d\n\n"));
    expect(calls.slice(1)).toEqual([{ event: { type: "message", data: "d", lastEventId: "1", channel: undefined } }]);
  });

  it("expects a BOM again", () => {
    const { calls, parser } = recordingParser();
    for (let response = 0; response < 2; response++) {
      parser.feed(utf8("\ufeffdata: a\n\n"));
      parser.reset();
    }
    expect(calls).toHaveLength(2);
  });

  it("does not take an LF at the new start for the rest of a CRLF", () => {
    const { calls, parser } = recordingParser();
    parser.feed(utf8("data: a\r"));
    parser.reset();
    parser.feed(utf8("\n\ufeffdata: b\n\n"));
    expect(calls).toEqual([]);
  });
});

describe("maxBlockLength", () => {
  const tooLarge = expect.objectContaining({ code: "block_too_large" });
  const overflows = (text: string, maxBlockLength: number, size: number) => {
    try {
      parse(cut(utf8(text), size), { maxBlockLength });
      return false;
    } catch (error) {
      expect(error).toEqual(tooLarge);
      return true;
    }
  };

  it.each([
    ["one line", "data: 12345\n\n", 11],
    ["CRLF", "data: 1\r\ndata: 2\r\n\r\n", 14],
    ["CR", "data: 1\rdata: 2\r\r", 14],
    ["not ASCII: as many as `length` says", "data: é€😀\ndata: é\n\n", 17],
    ["after another block", "data: 1\n\ndata: 12345\n\n", 11],
    ["after a block that is not ASCII", "data: 1é\n\ndata: €€€€€\n\n", 11],
    ["comments and unknown fields count", ": 1\nx: 2\ndata: 3\n\n", 14],
    ["an unfinished block", "data: 1\n\ndata: 12345\n", 11],
    ["an unfinished block of two lines", "data: 1\r\n\r\ndata: é\r\ndata: 12345\r\n", 18],
  ])("%s: exact, however it is cut", (_, text, blockLength) => {
    for (let size = 1; size <= text.length * 4; size++) {
      expect(overflows(text, blockLength, size), `chunks of ${size}, at the cap`).toBe(false);
      expect(overflows(text, blockLength - 1, size), `chunks of ${size}, over the cap`).toBe(true);
    }
  });

  it("is of the block, not of the stream", () => {
    const block = "id: 1\ndata: 12345\n\n";
    for (const size of [1, 7, 100]) expect(overflows(block.repeat(1000), 16, size)).toBe(false);
  });

  it("stops before it stores what is too large", () => {
    const { calls, parser } = recordingParser({ maxBlockLength: 100 });
    parser.feed(utf8("data: a\n\ndata: "));
    expect(() => parser.feed(new Uint8Array(1_000_000).fill(120))).toThrow(tooLarge);
    expect(calls).toHaveLength(1);
  });

  it("leaves a dead parser until reset", () => {
    const { calls, parser } = recordingParser({ maxBlockLength: 10 });
    expect(() => parser.feed(utf8("data: 1234567890\n"))).toThrow(MillraceError);
    expect(() => parser.feed(utf8("\n\ndata: a\n\n"))).toThrow(tooLarge);
    expect(calls).toEqual([]);
    parser.reset();
    parser.feed(utf8("data: a\n\n"));
    expect(calls).toHaveLength(1);
  });

  it("begins again with reset", () => {
    const { calls, parser } = recordingParser({ maxBlockLength: 12 });
    parser.feed(utf8("data: 12345\n"));
    parser.reset();
    parser.feed(utf8("data: 12345\n\n"));
    expect(calls).toHaveLength(1);
  });

  it("is 16 Mi characters by default", () => {
    const { parser } = recordingParser();
    const mebibyte = new Uint8Array(1024 * 1024).fill(120);
    for (let i = 0; i < 16; i++) parser.feed(mebibyte);
    expect(() => parser.feed(utf8("x\n"))).toThrow(tooLarge);
  });

  it("is told within 1 KiB of a line that does not end", () => {
    const { parser } = recordingParser({ maxBlockLength: 3000 });
    for (let bytes = 0; bytes < 3000; bytes += 10) parser.feed(utf8("é".repeat(5)));
    for (let bytes = 0; bytes < 2990; bytes += 10) parser.feed(utf8("é".repeat(5)));
    expect(() => {
      for (let bytes = 0; bytes <= 1024; bytes += 10) parser.feed(utf8("é".repeat(5)));
    }).toThrow(tooLarge);
  });

  it("is off with Infinity", () => {
    const { calls, parser } = recordingParser({ maxBlockLength: Number.POSITIVE_INFINITY });
    const mebibyte = new Uint8Array(1024 * 1024).fill(120);
    parser.feed(utf8("data: "));
    for (let i = 0; i < 17; i++) parser.feed(mebibyte);
    parser.feed(utf8("\n\n"));
    expect(calls.map((call) => "event" in call && call.event.data.length)).toEqual([17 * 1024 * 1024]);
  });

  it.each([0, -1, Number.NaN])("refuses %s", (maxBlockLength) => {
    expect(() => recordingParser({ maxBlockLength })).toThrow(expect.objectContaining({ code: "invalid_option" }));
  });
});

describe("handlers", () => {
  it("only onEvent is needed", () => {
    const data: string[] = [];
    createParser({ onEvent: (event) => data.push(event.data) }).feed(utf8(": c\nretry: 1\nid: 1\n\ndata: a\n\n"));
    expect(data).toEqual(["a"]);
  });

  it("what one throws leaves feed, and the parser is dead: the chunk's rest would be a hole", () => {
    const data: string[] = [];
    const parser = createParser({
      onEvent(event) {
        data.push(event.data);
        if (event.data === "b") throw new Error("handler failed");
      },
    });
    expect(() => parser.feed(utf8("data: a\n\nid: 1\ndata: b\n\ndata: c\n\n"))).toThrow("handler failed");
    expect(() => parser.feed(utf8("data: d\n\n"))).toThrow("handler failed");
    parser.reset();
    parser.feed(utf8("data: e\n\n"));
    expect(data).toEqual(["a", "b", "e"]);
    expect(parser.lastEventId).toBe("1");
  });
});

describe("work grows with the input, not with its square", () => {
  /** Bytes copied and decoded for one line of `size` bytes in chunks of 100. */
  function workOf(size: number): number {
    let work = 0;
    const set = vi.spyOn(Uint8Array.prototype, "set");
    const decode = vi.spyOn(TextDecoder.prototype, "decode");
    try {
      const { calls, parser } = recordingParser();
      for (const chunk of cut(utf8(`data: ${"x".repeat(size)}\n\n`), 100)) parser.feed(chunk);
      expect(calls).toHaveLength(1);
      for (const [source] of set.mock.calls) work += source.length;
      for (const [source] of decode.mock.calls) work += source?.byteLength ?? 0;
    } finally {
      set.mockRestore();
      decode.mockRestore();
    }
    return work;
  }

  it("of one line in many chunks", () => {
    const small = workOf(100_000);
    expect(small).toBeGreaterThan(100_000);
    expect(small).toBeLessThan(5 * 100_000);
    expect(workOf(400_000)).toBeLessThan(4 * 2 * small);
  });
});
