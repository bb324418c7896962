import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeFrame, encodeFrame, type FrameContent, frameFollows, readKeys } from "../../../src/log/disk/frame.js";

const content: fc.Arbitrary<FrameContent> = fc
  .record({
    length: fc.nat(1000),
    records: fc.uint8Array({ maxLength: 200 }),
    keys: fc.array(
      fc.record({
        key: fc.string({ unit: "binary", maxLength: 20 }),
        digest: fc.string({ maxLength: 44 }),
        first: fc.maxSafeNat(),
        count: fc.nat(),
        timeMs: fc.maxSafeNat(),
      }),
      { maxLength: 4 },
    ),
    first: fc.maxSafeNat(),
    timeMs: fc.maxSafeNat(),
  })
  .map(({ length, records, ...rest }) => ({ ...rest, entries: { length }, records: Buffer.from(records) }));

describe("a frame", () => {
  test("is read as it was written, wherever it lies", () => {
    fc.assert(
      fc.property(content, fc.nat(20), fc.nat(20), (written, before, after) => {
        const frame = Buffer.concat(encodeFrame(written));
        const bytes = Buffer.concat([Buffer.alloc(before, 7), frame, Buffer.alloc(after, 9)]);
        const read = decodeFrame(bytes, before);
        if (typeof read === "string") throw new Error(read);
        const { entries, first, timeMs, keys } = read;
        expect({ entries, first, timeMs, keys }).toEqual({
          entries: written.entries.length,
          first: written.first,
          timeMs: written.timeMs,
          keys: written.keys.length,
        });
        expect(bytes.subarray(read.start, read.recordsEnd).equals(written.records)).toBe(true);
        expect(read.end).toBe(before + frame.length);
        expect(readKeys(bytes, read)).toEqual(written.keys);
        expect(frameFollows(bytes, before - 1)).toBe(true);
        expect(frameFollows(bytes, before)).toBe(false);
      }),
    );
  });

  test("that is cut anywhere is short", () => {
    fc.assert(
      fc.property(content, (written) => {
        const frame = Buffer.concat(encodeFrame(written));
        for (let length = 0; length < frame.length; length++) {
          expect(decodeFrame(frame.subarray(0, length), 0)).toBe("short");
        }
      }),
      { numRuns: 30 },
    );
  });

  test("with any bit flipped is bad, at the end of a file too", () => {
    fc.assert(
      fc.property(content, fc.nat(50), (written, after) => {
        const frame = Buffer.concat(encodeFrame(written));
        for (let bit = 0; bit < frame.length * 8; bit++) {
          const byte = bit >> 3;
          frame[byte] = (frame[byte] as number) ^ (1 << (bit & 7));
          expect(decodeFrame(frame, 0)).toBe("bad");
          // With more behind it, a damaged size may also point behind the end.
          expect(["bad", "short"]).toContain(decodeFrame(Buffer.concat([frame, Buffer.alloc(after)]), 0));
          frame[byte] = (frame[byte] as number) ^ (1 << (bit & 7));
        }
      }),
      { numRuns: 10 },
    );
  });

  test("is not found in what UTF-8 can hold", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 500 }), (text) => {
        expect(frameFollows(Buffer.from(text.repeat(10)), -1)).toBe(false);
      }),
    );
  });
});
