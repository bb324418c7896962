import type { StreamEvent } from "../../src/protocol/parse.js";

/** What a parser told its handlers, in order. */
export type Call =
  | { event: StreamEvent }
  | { retryMs: number }
  | { comment: string }
  /** The last event id that a block without data has moved. */
  | { movedTo: string };

export interface ParseCase {
  name: string;
  /** A string stands for its UTF-8 bytes. */
  input: string | Uint8Array;
  calls: Call[];
  /** Default: that of the last call that carries one, else "". */
  lastEventId?: string;
}

const event = (data: string, fields: Partial<StreamEvent> = {}): Call => ({
  event: { type: "message", data, lastEventId: "", channel: undefined, ...fields },
});
const comment = (text: string): Call => ({ comment: text });
const retry = (retryMs: number): Call => ({ retryMs });
const movedTo = (id: string): Call => ({ movedTo: id });

/** UTF-8 of the strings, with the bytes between them as they are. */
function bytes(...parts: (string | number[])[]): Uint8Array {
  const encoder = new TextEncoder();
  return Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...encoder.encode(part)] : part)));
}

const bom = [0xef, 0xbb, 0xbf];

export const parseCases: ParseCase[] = [
  // Line ends
  { name: "LF", input: "data: a\n\ndata: b\n\n", calls: [event("a"), event("b")] },
  { name: "CR", input: "data: a\r\rdata: b\r\r", calls: [event("a"), event("b")] },
  { name: "CRLF", input: "data: a\r\n\r\ndata: b\r\n\r\n", calls: [event("a"), event("b")] },
  {
    name: "mixed line ends",
    input: "data: a\r\ndata: b\n\rdata: c\r\n\ndata: d\r\r\n",
    calls: [event("a\nb"), event("c"), event("d")],
  },
  { name: "LF CR is two line ends", input: "data: a\n\rdata: b\n\r", calls: [event("a"), event("b")] },
  {
    name: "blank lines between events",
    input: "\n\r\n\rdata: a\n\n\n\n\r\rdata: b\n\n",
    calls: [event("a"), event("b")],
  },
  {
    name: "other Unicode line ends, VT, FF and tab are data",
    input: "data: a\u2028b\u2029c\u0085d\u000be\u000cf\tg\n\n",
    calls: [event("a\u2028b\u2029c\u0085d\u000be\u000cf\tg")],
  },

  // Byte order mark
  { name: "one BOM at the start is stripped", input: bytes(bom, "data: a\n\n"), calls: [event("a")] },
  {
    name: "a second BOM is part of the field name",
    input: bytes(bom, bom, "data: a\n\ndata: b\n\n"),
    calls: [event("b")],
  },
  {
    name: "a BOM later is part of the field name",
    input: bytes("data: a\n\n", bom, "data: b\n\n"),
    calls: [event("a")],
  },
  {
    name: "a BOM after a blank line is not at the start",
    input: bytes("\n", bom, "data: a\n\ndata: b\n\n"),
    calls: [event("b")],
  },
  {
    name: "a BOM inside a value stays",
    input: bytes("data: ", bom, "a", bom, "\n\n"),
    calls: [event("\ufeffa\ufeff")],
  },
  { name: "a BOM alone on its line", input: bytes(bom, "\r\ndata: a\r\n\r\n"), calls: [event("a")] },
  { name: "half a BOM is no BOM", input: bytes([0xef, 0xbb], "data: a\n\ndata: b\n\n"), calls: [event("b")] },
  { name: "a BOM before a comment", input: bytes(bom, ":hi\n\n"), calls: [comment("hi")] },
  { name: "nothing but a BOM", input: bytes(bom), calls: [] },

  // Values
  { name: "no space after the colon", input: "data:a\n\n", calls: [event("a")] },
  { name: "one space is removed, only one", input: "data:  a \n\n", calls: [event(" a ")] },
  { name: "a tab is not removed", input: "data:\ta\n\n", calls: [event("\ta")] },
  { name: "a colon in the value", input: "data: a: b:c\n\n", calls: [event("a: b:c")] },
  { name: "several data lines", input: "data: a\ndata:\ndata: c\n\n", calls: [event("a\n\nc")] },
  {
    name: "data lines with others between",
    input: "data: a\nevent: x\n:c\ndata: b\n\n",
    calls: [comment("c"), event("a\nb", { type: "x" })],
  },
  { name: "NUL in data stays", input: "data: a\0b\n\n", calls: [event("a\0b")] },

  // Empty data
  { name: "bare data", input: "data\n\n", calls: [event("")] },
  { name: "data with an empty value", input: "data:\n\n", calls: [event("")] },
  { name: "data with a space only", input: "data: \n\n", calls: [event("")] },
  { name: "two empty data lines", input: "data\ndata:\n\n", calls: [event("\n")] },
  { name: "empty data at the end of the block", input: "data: a\ndata\n\n", calls: [event("a\n")] },

  // Field names
  { name: "unknown fields", input: "foo: bar\ndat: a\ndatax: b\ndata : c\n data: d\ndata: e\n\n", calls: [event("e")] },
  { name: "names are case-sensitive", input: "Data: a\nDATA: b\nEvent: x\nID: 1\ndata: c\n\n", calls: [event("c")] },
  {
    name: "prefixes of names",
    input: "d\nda:\ne\nevents: x\ni\nids: 1\nr\nretry2: 3\nc\nchannels: y\ndata: a\n\n",
    calls: [event("a")],
  },
  {
    name: "names with one letter wrong",
    input: "dxta: a\nexent: x\nix: 1\nrxtry: 3\ncxannel: y\ndata: b\n\n",
    calls: [event("b")],
  },
  { name: "a name cut by a line end", input: "da\nta: a\nid\n: 7\n\n", calls: [comment("7")] },

  // Comments
  { name: "comments", input: ":\n:a\n: b\n:  c\n::d\n", calls: ["", "a", "b", " c", ":d"].map(comment) },
  { name: "a comment that looks like a field", input: ": data: a\n\n", calls: [comment("data: a")] },

  // Event type
  { name: "event", input: "event: x\ndata: a\n\ndata: b\n\n", calls: [event("a", { type: "x" }), event("b")] },
  { name: "the last event field counts", input: "event: x\nevent: y\ndata: a\n\n", calls: [event("a", { type: "y" })] },
  {
    name: "an empty event field is none",
    input: "event: x\nevent\ndata: a\n\nevent:\ndata: b\n\n",
    calls: [event("a"), event("b")],
  },
  { name: "event after data", input: "data: a\nevent: x\n\n", calls: [event("a", { type: "x" })] },
  { name: "a type without data is forgotten", input: "event: x\n\ndata: a\n\n", calls: [event("a")] },

  // Ids
  {
    name: "the id persists",
    input: "id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n",
    calls: [event("a", { lastEventId: "1" }), event("b", { lastEventId: "1" }), event("c", { lastEventId: "2" })],
  },
  {
    name: "a bare id resets",
    input: "id: 1\ndata: a\n\nid\ndata: b\n\nid: 2\n\nid:\ndata: c\n\n",
    calls: [event("a", { lastEventId: "1" }), event("b"), movedTo("2"), event("c")],
  },
  {
    name: "an id with NUL is ignored",
    input: "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\nid: \0\n\n",
    calls: [event("a", { lastEventId: "1" }), event("b", { lastEventId: "1" })],
  },
  {
    name: "an id with NUL after a good one",
    input: "id: 1\nid: 2\0\ndata: a\n\n",
    calls: [event("a", { lastEventId: "1" })],
  },
  {
    name: "an id without data",
    input: "id: 1\n\ndata: a\n\n",
    calls: [movedTo("1"), event("a", { lastEventId: "1" })],
  },
  {
    name: "an id without data that is the same again",
    input: "id: 1\n\nid: 1\n\n: x\nid: 1\n\n",
    calls: [movedTo("1"), comment("x")],
  },
  { name: "an id reset without data", input: "id: 1\n\nid\n\n", calls: [movedTo("1"), movedTo("")] },
  {
    name: "an id of an unfinished block does not count",
    input: "id: 1\ndata: a\n\nid: 2\ndata: b\n",
    calls: [event("a", { lastEventId: "1" })],
    lastEventId: "1",
  },
  { name: "an id of spaces and UTF-8", input: "id:  é😀 \ndata: a\n\n", calls: [event("a", { lastEventId: " é😀 " })] },

  // Retry
  { name: "retry", input: "retry: 3000\nretry:0\nretry: 007\n", calls: [retry(3000), retry(0), retry(7)] },
  {
    name: "retry of anything but ASCII digits is ignored",
    input: `${["", " 1", "1 ", "-1", "+1", "1.5", "1e3", "0x10", "1000ms", "١٢", "１"].map((value) => `retry: ${value}\n`).join("")}retry\n`,
    calls: [],
  },
  {
    name: "a retry too large to count in",
    input: `retry: ${"9".repeat(400)}\n`,
    calls: [retry(Number.POSITIVE_INFINITY)],
  },
  { name: "retry does not dispatch", input: "retry: 1\n\n", calls: [retry(1)] },

  // Channel
  {
    name: "the channel is the block's own",
    input: "channel: news\ndata: a\n\ndata: b\n\n",
    calls: [event("a", { channel: "news" }), event("b")],
  },
  { name: "a channel without data is forgotten", input: "channel: news\n\ndata: a\n\n", calls: [event("a")] },
  { name: "an empty channel is none", input: "channel: x\nchannel\ndata: a\n\n", calls: [event("a")] },
  {
    name: "a block of the hub",
    input: 'id: 3f9a-17\nevent: price\nchannel: stocks/ACME\ndata: {"price":1.5}\n\n: keepalive 15000\nid: 3f9a-18\n\n',
    calls: [
      event('{"price":1.5}', { type: "price", lastEventId: "3f9a-17", channel: "stocks/ACME" }),
      comment("keepalive 15000"),
      movedTo("3f9a-18"),
    ],
  },

  // The end
  { name: "an empty stream", input: "", calls: [] },
  { name: "no blank line: discarded", input: "data: a\n\ndata: b\n", calls: [event("a")] },
  { name: "no line end: discarded", input: "data: a\n\ndata: b", calls: [event("a")] },
  { name: "a bare CR ends the last line", input: "data: a\r\r", calls: [event("a")] },
  { name: "an unfinished comment is discarded", input: ": a\n: b", calls: [comment("a")] },

  // UTF-8
  {
    name: "sequences of two, three and four bytes",
    input: "event: é\ndata: é€😀𐍈\ndata: ಠ\n\n",
    calls: [event("é€😀𐍈\nಠ", { type: "é" })],
  },
  {
    name: "malformed sequences become U+FFFD",
    input: bytes(
      "data: ",
      [0xff],
      "a",
      [0xe2, 0x82],
      "b",
      [0xf0, 0x9f, 0x98],
      "\ndata: ",
      [0xc0, 0x80, 0xed, 0xa0, 0x80],
      "\n\ndata: é\n\ndata:",
      [0xe2, 0x82],
      "\n\n",
    ),
    calls: [event("\ufffda\ufffdb\ufffd\n\ufffd\ufffd\ufffd\ufffd\ufffd"), event("é"), event("\ufffd")],
  },
  {
    name: "a cut sequence does not swallow the line end",
    input: bytes("data: é", [0xf0, 0x9f], "\r\n\r\n"),
    calls: [event("é\ufffd")],
  },
];
