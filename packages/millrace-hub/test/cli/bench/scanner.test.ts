import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createMarker, envelopeTime, type Mark, type ReadMark } from "../../../src/cli/bench/marker.js";
import { Scanner } from "../../../src/cli/bench/scanner.js";

/** Reads a stream in the pieces that it is cut into, all of them from the same place in memory. */
function scan(pieces: readonly Uint8Array[], marks?: ReadMark) {
  const space = Buffer.alloc(1 << 16);
  const found = { events: 0, dataBytes: 0, marks: [] as Mark[] };
  const counts = {
    event: () => found.events++,
    data: (bytes: number) => {
      found.dataBytes += bytes;
    },
  };
  const scanner = new Scanner(counts, marks, (mark) => found.marks.push(mark));
  for (const piece of pieces) {
    space.fill("data: stale\n\n\r\r").set(piece, 7);
    scanner.feed(space, 7, 7 + piece.length);
  }
  return found;
}

const whole = (text: string, marks?: ReadMark) => scan([Buffer.from(text)], marks);
const byByte = (text: string, marks?: ReadMark) =>
  scan(
    [...Buffer.from(text)].map((byte) => Uint8Array.of(byte)),
    marks,
  );

describe.each([
  ["whole", whole],
  ["byte by byte", byByte],
])("a stream that comes %s", (_, read) => {
  it.each([
    ["one event", "data: hello\n\n", 1, 5],
    ["no space", "data:hello\n\n", 1, 5],
    ["a second space is data", "data:  hello\n\n", 1, 6],
    ["several lines have a line end between them", "data: a\ndata: b\n\n", 1, 3],
    ["CRLF", "id: 1\r\ndata: hello\r\n\r\ndata: x\r\n\r\n", 2, 6],
    ["CR", "data: hello\rdata: x\r\rdata: y\r\r", 2, 8],
    ["data without a colon", "data\n\n", 1, 0],
    ["empty data", "data:\n\ndata: \n\n", 2, 0],
    ["blocks without data are no events", ": keepalive\nid: 7\n\nretry: 1000\n\n\n\n", 0, 0],
    ["other fields", "event: data\ndatax: 1\ndat: 2\nxdata: 3\ndata: y\n\n", 1, 1],
    ["bytes, not characters", "data: Zürich 株価\n\n", 1, 14],
    ["an event without its end has not come yet", "data: a\n\ndata: b\n", 1, 2],
    ["a long line", `data: ${"x".repeat(5000)}\nid: 1\n\n`, 1, 5000],
    ["a long line with CR", `data: ${"x".repeat(5000)}\rdata: y\r\n\r\n`, 1, 5002],
  ])("%s", (_name, text, events, dataBytes) => {
    expect(read(text)).toMatchObject({ events, dataBytes });
  });

  it("tells what this run has published, and nothing else", () => {
    const marker = createMarker("00c0ffee");
    const other = createMarker("deadbeef");
    const before = marker.nowMs();
    const text = [marker.write(0, 10), other.write(7, 100), "n=5;t=6;", marker.write(41, 300)];
    const { marks, dataBytes } = read(text.map((data) => `id: 1\ndata: ${data}\n\n`).join(""), marker);
    expect(marks.map(({ n }) => n)).toEqual([0, 41]);
    for (const { atMs } of marks) {
      expect(atMs).toBeGreaterThanOrEqual(before - 1);
      expect(atMs).toBeLessThanOrEqual(marker.nowMs());
    }
    expect(dataBytes).toBe(text.join("").length);
    expect(text[3]).toHaveLength(300);
  });

  it("finds marks in envelopes, and the hub's time", () => {
    const marker = createMarker("00c0ffee");
    const envelope = {
      channel: 'a"time":9',
      event: "message",
      id: "x-1",
      time: 1_795_217_133_877,
      data: marker.write(3, 50),
    };
    const text = `id: x-1\ndata: ${JSON.stringify(envelope)}\n\n`;
    expect(read(text, marker).marks).toMatchObject([{ n: 3 }]);
    expect(read(text, envelopeTime).marks).toEqual([{ n: -1, atMs: 1_795_217_133_877 }]);
  });
});

it("counts the same wherever a stream is cut", () => {
  const line = fc.oneof(
    fc.constantFrom("data: ", "data", "data:", ": comment", "id: 1", "event: data", ""),
    fc.string({ maxLength: 300 }).map((text) => `data: ${text.replaceAll(/[\r\n]/g, "")}`),
  );
  const stream = fc
    .array(fc.tuple(line, fc.constantFrom("\n", "\r\n", "\r")), { maxLength: 20 })
    .map((lines) => lines.flat().join(""));
  fc.assert(
    fc.property(stream, fc.array(fc.nat(2000), { maxLength: 8 }), (text, cuts) => {
      const bytes = Buffer.from(text);
      const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
      const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
      expect(scan(pieces)).toEqual(expectedOf(text));
    }),
    { numRuns: 500 },
  );
});

/** The same from the standard's words, slowly. */
function expectedOf(text: string) {
  const lines = text.split(/\r\n|\r|\n/).slice(0, -1);
  let [events, dataBytes] = [0, 0];
  let data: string[] = [];
  for (const line of lines) {
    if (line === "") {
      if (data.length > 0) events++;
      data = [];
      continue;
    }
    if (!/^data(?::|$)/.test(line)) continue;
    const value = line.replace(/^data:? ?/, "");
    dataBytes += Buffer.byteLength(value) + (data.length > 0 ? 1 : 0);
    data.push(value);
  }
  return { events, dataBytes, marks: [] };
}
