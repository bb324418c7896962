import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { covers, parseSelection, patternsOf, prefixesOf, selectionOf, selects } from "../../src/protocol/index.js";

/** Few letters, so that names meet. */
const name = fc
  .array(fc.constantFrom("a", "b", "/", '"', ",", "]"), { minLength: 1, maxLength: 5 })
  .map((all) => all.join(""));
const pattern = fc.oneof(
  name,
  name.map((text) => `${text}/*`),
  fc.constant("*"),
);
const patterns = fc.array(pattern, { minLength: 1, maxLength: 6 });

/** The rule itself, without anything clever. */
function isSelected(channel: string, wanted: readonly string[]): boolean {
  return wanted.some((one) => {
    if (!one.endsWith("*")) return one === channel;
    const prefix = one.slice(0, -1);
    return !channel.startsWith("@") && channel !== prefix && channel.startsWith(prefix);
  });
}

describe("selections", () => {
  test("select what their patterns say, by both ways of asking", () => {
    fc.assert(
      fc.property(patterns, name, (wanted, channel) => {
        const selection = parseSelection(wanted);
        expect(selects(selection, channel)).toBe(isSelected(channel, wanted));
        const groups = new Set(selection.prefixes);
        const byPrefix = prefixesOf(channel).filter((prefix) => groups.has(prefix));
        // One part at most: a channel that two parts selected would be delivered twice.
        expect(byPrefix.length + Number(selection.exact.includes(channel))).toBe(Number(isSelected(channel, wanted)));
      }),
      { numRuns: 2000 },
    );
  });

  test("that are equal have equal keys, whatever the order and however often", () => {
    fc.assert(
      fc.property(
        patterns.chain((wanted) =>
          fc.tuple(fc.constant(wanted), fc.shuffledSubarray([...wanted, ...wanted], { minLength: wanted.length * 2 })),
        ),
        ([wanted, shuffled]) => {
          expect(parseSelection(shuffled).key).toBe(parseSelection(wanted).key);
        },
      ),
    );
  });

  test("that differ in any channel have different keys, and the other way round", () => {
    const channels = ["a", "b", "/", "a/", "a/a", "a/b", "a/b/a", "b/a", '"', '","', "a,b", '["a"]', "b/a/a/b"];
    fc.assert(
      fc.property(patterns, patterns, fc.array(name), (one, other, more) => {
        const [first, second] = [parseSelection(one), parseSelection(other)];
        const differs = [...channels, ...more].some((channel) => selects(first, channel) !== selects(second, channel));
        if (differs) expect(first.key).not.toBe(second.key);
        if (first.key === second.key) expect(differs).toBe(false);
      }),
      { numRuns: 2000 },
    );
    expect(parseSelection(['a","b']).key).not.toBe(parseSelection(["a", "b"]).key);
    expect(parseSelection(["a/*"]).key).not.toBe(parseSelection(["a/"]).key);
    expect(selectionOf(["a"], []).key).not.toBe(selectionOf([], ["a"]).key);
  });

  test("are written back as patterns that mean the same", () => {
    fc.assert(
      fc.property(patterns, (wanted) => {
        const selection = parseSelection(wanted);
        expect(parseSelection(patternsOf(selection)).key).toBe(selection.key);
        expect([...selection.exact].sort()).toEqual(selection.exact);
      }),
    );
  });

  test("keep only the widest prefix", () => {
    const { exact, prefixes } = parseSelection(["a/b/c", "a/b/*", "a/*", "a", "a/", "b", "a/c/*", "a!/*"]);
    expect(prefixes).toEqual(["a!/", "a/"]);
    expect(exact).toEqual(["a", "a/", "b"]);
    expect(parseSelection(["*", "a", "b/*"])).toMatchObject({ exact: [], prefixes: [""] });
  });

  test("reach channels of identities by name alone", () => {
    const all = selectionOf(["@role/x"], [""]);
    expect(all.exact).toEqual(["@role/x"]);
    expect(["@role/x", "@role/y", "@user/x", "a"].filter((channel) => selects(all, channel))).toEqual(["@role/x", "a"]);
    expect(prefixesOf("@user/a/b")).toEqual([]);
    expect(covers("@user/", "@user/a")).toBe(false);
  });

  test("of a hundred thousand patterns are made in no time", () => {
    const many = Array.from({ length: 100_000 }, (_, at) => (at % 2 ? `${at}/*` : `${at}/x/y`));
    const began = performance.now();
    expect(parseSelection(many).prefixes).toHaveLength(50_000);
    expect(performance.now() - began).toBeLessThan(3000);
  });

  test.each([
    ["", /0 bytes/],
    ["x".repeat(257), /257 bytes/],
    [`${"x".repeat(255)}/*`, /257 bytes/],
    ["a\n", /CR, LF or NUL/],
    ["\ud800", /Unicode/],
    ["@user/a", /by its identity/],
    ["@user/*", /by its identity/],
    ["@*", /by its identity/],
    ["a*", /only at the end, as in "news\/\*"/],
    ["a/**", /only at the end/],
    ["*a", /only at the end/],
    ["**", /only at the end/],
    ["*/a", /only at the end/],
    ["a/*/b", /only at the end/],
  ])("%j is none", (wrong, message) => {
    expect(() => parseSelection(["right", wrong])).toThrow(expect.objectContaining({ code: "invalid_channel" }));
    expect(() => parseSelection(["right", wrong])).toThrow(message);
  });
});
