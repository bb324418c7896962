import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  apply,
  type Change,
  compose,
  difference,
  isTidy,
  lengthOf,
  moved,
  split,
  transform,
  unitsOf,
} from "../../src/demo/text/change.js";

const letters = fc.string({
  unit: fc.constantFrom("a", "b", "1", "-", "é", "👩", "\u200d", "🏽", "水", "\n"),
  maxLength: 12,
});

/** A text, and changes that were made of it at once. */
const made = (count: number) =>
  fc
    .record({
      text: letters,
      seeds: fc.array(fc.array(fc.tuple(fc.nat(20), letters, fc.nat(3)), { maxLength: 4 }), {
        minLength: count,
        maxLength: count,
      }),
    })
    .map(({ text, seeds }) => ({ text, changes: seeds.map((pieces) => changeOf(text, pieces)) }));

/** Some pieces replaced, one after the other. */
function changeOf(text: string, pieces: readonly [at: number, insert: string, remove: number][]): Change {
  let change: Change = [];
  let now = [...text];
  for (const [place, insert, remove] of pieces) {
    const at = Math.min(place, now.length);
    const next = [...now.slice(0, at), ...insert, ...now.slice(at + remove)];
    change = compose(change, difference(now.join(""), next.join("")));
    now = next;
  }
  return change;
}

const changed = (text: string, ...changes: Change[]): string => {
  let now = text;
  for (const change of changes) {
    const next = apply(now, change);
    if (next === undefined) throw new Error(`${JSON.stringify(change)} reaches beyond ${JSON.stringify(now)}`);
    now = next;
  }
  return now;
};

describe("a change", () => {
  test("keeps, removes and inserts characters, and never a half of one", () => {
    expect(apply("I see a 👩‍🚀 there", [8, "big ", 3, "!", -6])).toBe("I see a big 👩‍🚀!");
    expect(apply("a👩b", [1, -1])).toBe("ab");
    expect(apply("ab", [3])).toBeUndefined();
    expect(apply("ab", [-3])).toBeUndefined();
  });

  test("two of one text lead to one text, whichever is made first", () => {
    fc.assert(
      fc.property(made(2), ({ text, changes: [a = [], b = []] }) => {
        const one = changed(text, a, transform(b, a, false));
        expect(changed(text, b, transform(a, b, true))).toBe(one);
      }),
      { numRuns: 2000 },
    );
  });

  test("two one after the other are one", () => {
    fc.assert(
      fc.property(made(1), letters, ({ text, changes: [a = []] }, after) => {
        const between = changed(text, a);
        const b = difference(between, after);
        expect(changed(text, compose(a, b))).toBe(after);
      }),
      { numRuns: 2000 },
    );
  });

  test("has one form, whatever was done with it", () => {
    fc.assert(
      fc.property(made(2), fc.integer({ min: 1, max: 4 }), ({ text, changes: [a = [], b = []] }, parts) => {
        const pieces = split(a, parts);
        expect(changed(text, ...pieces)).toBe(changed(text, a));
        for (const change of [a, transform(a, b, true), transform(b, a, false), ...pieces])
          expect(isTidy(change)).toBe(true);
      }),
      { numRuns: 2000 },
    );
    for (const odd of [[0], [""], ["a", "b"], [1], [-1, "a"], [1, 1, "a"]]) expect(isTidy(odd)).toBe(false);
  });

  test("keeps what one inserts where the other removes", () => {
    const [removes, inserts] = [
      [1, -3],
      [2, "new"],
    ] as [Change, Change];
    expect(changed("abcde", removes, transform(inserts, removes, false))).toBe("anewe");
    expect(changed("abcde", inserts, transform(removes, inserts, false))).toBe("anewe");
  });

  test("of two that insert at one place, the later one stands behind", () => {
    expect(changed("ab", [1, "X"], transform([1, "Y"], [1, "X"], false))).toBe("aXYb");
  });
});

describe("difference", () => {
  test("leads from any text to any other", () => {
    fc.assert(
      fc.property(letters, letters, fc.nat(14), (before, after, caret) => {
        expect(changed(before, difference(before, after))).toBe(after);
        expect(changed(before, difference(before, after, Math.min(caret, after.length)))).toBe(after);
      }),
      { numRuns: 2000 },
    );
  });

  test("knows by the caret which of equal letters is new", () => {
    expect(difference("aa", "aaa", 1)).toEqual(["a"]);
    expect(difference("aa", "aaa", 2)).toEqual([1, "a"]);
    expect(difference("aa", "aaa")).toEqual([2, "a"]);
    expect(difference("aab", "ab", 0)).toEqual([-1]);
  });

  test("replaces whole characters, also where two share a half", () => {
    expect(difference("a👩b", "a👨b")).toEqual([1, "👨", -1]); // the same first half
    expect(difference("𐀀", "🀀")).toEqual(["🀀", -1]); // the same second half
    expect(difference("🎉🎊🎋", "🎉🎋")).toEqual([1, -1]);
    expect(difference("🎉🎋", "🎉🎊🎋", 4)).toEqual([1, "🎊"]);
  });
});

test("a place moves with the text around it", () => {
  const change = [2, "xy", -2, 1, "z"];
  expect([0, 1, 2, 3, 4, 5, 6].map((place) => moved(place, change))).toEqual([0, 1, 2, 4, 4, 5, 7]);
  expect(moved(2, change, true)).toBe(4);
  expect(moved(5, change, true)).toBe(6);
  expect(moved(3, [])).toBe(3);
});

test("characters are counted as code points", () => {
  expect(lengthOf("a👩‍🚀")).toBe(4);
  expect(unitsOf("a👩b", 2)).toBe(3);
  expect(unitsOf("a👩b", 4)).toBeUndefined();
});
