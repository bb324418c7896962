import fc from "fast-check";
import { expect, test } from "vitest";
import { closedId, formatPosition, parsePosition } from "../../src/protocol/index.js";

const epoch = fc.stringMatching(/^[0-9a-z]{1,16}$/);

test("a position is read back as it was written", () => {
  fc.assert(
    fc.property(epoch, fc.maxSafeNat(), (name, sequence) => {
      expect(parsePosition(formatPosition(name, sequence))).toEqual({ epoch: name, sequence });
    }),
  );
});

test("a text is a position in one way at most", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-zA-Z]{0,20}-[-+0-9.e]{0,20}$/)), (text) => {
      const position = parsePosition(text);
      if (position) expect(formatPosition(position.epoch, position.sequence)).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  "",
  "-",
  "a",
  "a-",
  "-1",
  "a-01",
  "a-+1",
  "a--1",
  "a-1.0",
  "a-1e3",
  "a-1 ",
  " a-1",
  "a-1\n",
  "A-1",
  "a-b-1",
  "a-9007199254740992",
  "a-99999999999999999999",
  "é-1",
  "a-١",
  `${"a".repeat(17)}-1`,
  closedId,
])("%j is none", (text) => {
  expect(parsePosition(text)).toBeUndefined();
});
