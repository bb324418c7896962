import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Block, createParser, encodeBlock, type StreamEvent } from "../../src/protocol/index.js";

interface Read {
  events: StreamEvent[];
  comments: string[];
  retries: number[];
  ids: string[];
}

/** Reads a stream that comes in pieces, cut at these places. */
function read(text: string, cuts: readonly number[] = []): Read {
  const bytes = new TextEncoder().encode(text);
  const seen: Read = { events: [], comments: [], retries: [], ids: [] };
  const parser = createParser({
    onEvent: (event) => seen.events.push(event),
    onComment: (comment) => seen.comments.push(comment),
    onRetry: (retryMs) => seen.retries.push(retryMs),
    onLastEventId: (id) => seen.ids.push(id),
  });
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  for (const [at, from] of [0, ...places].entries()) parser.feed(bytes.slice(from, places[at] ?? bytes.length));
  return seen;
}

const nasty = fc.constantFrom(
  "\r",
  "\n",
  "\r\n",
  ":",
  " ",
  "data: x",
  "id: 1",
  "\0",
  "\ufeff",
  "\u2028",
  "é",
  "\u{1f600}",
  "",
);
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(fc.oneof(nasty, fc.string()), { maxLength: 8 }).map((parts) => parts.join("")),
);
const line = text.map((any) => any.replace(/[\r\n\0]/g, ""));
const cuts = fc.array(fc.nat(), { maxLength: 12 });
const unbroken = (any: string) => any.replace(/\r\n|\r/g, "\n");
const optional = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });

describe("a block", () => {
  test("is read back as it was written, however it is cut", () => {
    const fields = fc.record({
      id: optional(line),
      event: optional(line),
      channel: optional(line),
      retry: optional(fc.maxSafeNat()),
      data: text,
      comment: optional(text),
    });
    fc.assert(
      fc.property(fields, cuts, (block, places) => {
        const seen = read(encodeBlock(block), places);
        expect(seen.events).toEqual([
          {
            type: block.event || "message",
            data: unbroken(block.data),
            lastEventId: block.id ?? "",
            channel: block.channel || undefined,
          },
        ]);
        expect(seen.retries).toEqual(block.retry === undefined ? [] : [block.retry]);
        expect(seen.comments.join("\n")).toBe(unbroken(block.comment ?? ""));
      }),
      { numRuns: 2000 },
    );
  });

  test("is one of as many as were written, whatever is in each", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ data: text, id: optional(line) }), { maxLength: 6 }), cuts, (blocks, places) => {
        const seen = read(blocks.map((block) => encodeBlock(block)).join(""), places);
        expect(seen.events.map(({ data }) => data)).toEqual(blocks.map(({ data }) => unbroken(data)));
      }),
    );
  });

  test("without data dispatches nothing, but moves the id", () => {
    expect(read(encodeBlock({ id: "x-1", retry: 5, comment: "keepalive 7" }))).toEqual({
      events: [],
      comments: ["keepalive 7"],
      retries: [5],
      ids: ["x-1"],
    });
  });

  test("is these bytes", () => {
    const whole: Block = { comment: "c", id: "i", event: "e", channel: "ch", retry: 0, data: "a\rb\nc\r\nd\n" };
    expect(encodeBlock(whole)).toBe(
      ": c\nid: i\nevent: e\nchannel: ch\nretry: 0\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n",
    );
    expect(encodeBlock({ data: "" })).toBe("data: \n\n");
    expect(encodeBlock({ comment: "a\rb" })).toBe(": a\n: b\n\n");
    expect(encodeBlock({})).toBe("\n");
  });

  test.each(["id", "event", "channel"] as const)("refuses CR, LF and NUL in %s, and does not clean them", (field) => {
    for (const character of ["\r", "\n", "\r\n", "\0"]) {
      for (const value of [character, `a${character}data: forged`, `${character}a`, `a${character}`]) {
        const write = () => encodeBlock({ [field]: value, data: "x" });
        expect(write).toThrow(expect.objectContaining({ code: "invalid_event" }));
        expect(write).toThrow(RegExp(`^${field} ".*" holds CR, LF or NUL`));
      }
    }
  });

  test.each([-1, 1.5, Number.NaN, Infinity, 2 ** 53, "5" as unknown as number])("refuses the retry %s", (retry) => {
    expect(() => encodeBlock({ retry })).toThrow(/retry must be a whole number of milliseconds/);
  });
});
