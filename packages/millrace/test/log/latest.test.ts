import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Latest, unread } from "../../src/log/latest.js";

interface Item {
  readonly sequence: number;
  readonly key: string | undefined;
}

const keys = fc.option(
  fc.oneof(
    fc.constantFrom("a", "b", "constructor", "__proto__", "ü", "a key that is longer"),
    fc.nat(300).map((n) => `key ${n}`),
  ),
  { nil: undefined },
);

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ push: fc.array(keys, { minLength: 1, maxLength: 200 }) }) },
    { weight: 2, arbitrary: fc.record({ shift: fc.integer({ min: 1, max: 250 }) }) },
    { weight: 1, arbitrary: fc.record({ learn: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  ),
  { maxLength: 40, size: "max" },
);

describe("the latest of each key", () => {
  test("are those that a search of the whole channel finds, whatever is added, dropped and learnt late", () => {
    fc.assert(
      fc.property(fc.nat(70), fc.boolean(), steps, (before, late, all) => {
        const latest = new Latest(before, 0, 0);
        const items: Item[] = Array.from({ length: before }, (_, at) => ({ sequence: at + 1, key: undefined }));
        let sequence = before;
        let drops = 0;
        let missed = 0;
        /** Sequences whose key the log was not told yet: for it they have none. */
        const hidden = new Set<number>();
        const isLatest = ({ key, sequence: own }: Item) =>
          key === undefined ||
          hidden.has(own) ||
          !items.some((other) => other.key === key && other.sequence > own && !hidden.has(other.sequence));
        for (const at of all) {
          if ("push" in at) {
            for (const key of at.push) {
              items.push({ sequence: ++sequence, key });
              if (late && key !== undefined) hidden.add(sequence);
              latest.push(late && key !== undefined ? unread : key, sequence);
            }
          } else if ("shift" in at) {
            for (let n = 0; n < at.shift && items.length > 0; n++) {
              const oldest = items[0] as Item;
              if (isLatest(oldest)) missed = oldest.sequence;
              latest.shift(oldest.sequence, ++drops);
              items.shift();
            }
            expect(latest.droppedThrough).toBe(missed);
          } else {
            // From a random place to the end: newer ones are learnt first, and some twice.
            for (let index = Math.floor(at.learn * items.length); index < items.length; index++) {
              const { key, sequence: own } = items[index] as Item;
              if (key === undefined) continue;
              latest.learn(index, key);
              hidden.delete(own);
            }
          }
        }
        const right = items.map(isLatest);
        expect(items.map((_, index) => !latest.has(index))).toEqual(right);
        for (let index = 0; index <= items.length; index++) {
          const next = right.indexOf(true, index);
          expect(latest.skipFrom(index)).toBe(next < 0 ? items.length : next);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("of a million entries are found without a visit to the others", () => {
    const latest = new Latest(0, 0, 0);
    for (let sequence = 1; sequence <= 1_000_000; sequence++) latest.push(`key ${sequence % 1000}`, sequence);
    let visits = 0;
    for (let index = latest.skipFrom(0); index < 1_000_000; index = latest.skipFrom(index + 1)) visits++;
    expect(visits).toBe(1000);
  });
});
