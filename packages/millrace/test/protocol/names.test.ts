import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assertChannel, isPersonalChannel, maxChannelBytes } from "../../src/protocol/index.js";
import { quote, utf8Bytes } from "../../src/protocol/text.js";

describe("channels to publish to", () => {
  test.each([
    "a",
    "general",
    "news/sport",
    "/",
    " ",
    "a b",
    "#&?=%",
    "a@b",
    "ünï\u{1f600}",
    "\u2028",
    "@user/1",
    "@user/a/b",
    "@role/admin",
    "@connection/0b4a",
    "x".repeat(256),
    "é".repeat(128),
    "\u{1f600}".repeat(64),
  ])("%j may be", (name) => {
    expect(() => assertChannel(name)).not.toThrow();
  });

  test.each([
    ["", /"" has 0 bytes: it must have 1 to 256/],
    ["x".repeat(257), /has 257 bytes/],
    ["é".repeat(129), /has 258 bytes/],
    ["\u{1f600}".repeat(65), /has 260 bytes/],
    ["a\rb", /"a\\rb" holds CR, LF or NUL/],
    ["a\nb", /holds CR, LF or NUL/],
    ["a\0b", /holds CR, LF or NUL/],
    ["\ud800", /not valid Unicode/],
    ["a\udc00b", /not valid Unicode/],
    ["\udc00\ud800", /not valid Unicode/],
    ["a*", /holds "\*"/],
    ["*", /holds "\*"/],
    ["news/*", /for subscribing only/],
    ["@", /only @user\/<id>, @role\/<name> and @connection\/<id>/],
    ["@user", /begins with "@"/],
    ["@user/", /begins with "@"/],
    ["@users/1", /begins with "@"/],
    ["@USER/1", /begins with "@"/],
  ])("%j may not be", (name, message) => {
    expect(() => assertChannel(name)).toThrow(expect.objectContaining({ code: "invalid_channel" }));
    expect(() => assertChannel(name)).toThrow(message);
  });

  test("personal are those of one identity or connection", () => {
    const names = ["@user/a", "@user/\n", "@connection/x", "@role/a", "@user/", "a@user/b", "user/a"];
    expect(names.filter(isPersonalChannel)).toEqual(["@user/a", "@user/\n", "@connection/x"]);
  });
});

test("the size of a text is that of its UTF-8, or none", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(utf8Bytes(text)).toBe(new TextEncoder().encode(text).length);
    }),
  );
  // One half of a character, wherever.
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 0xd800, max: 0xdfff }), fc.string(), (before, half, after) => {
      expect(utf8Bytes(`${before}${String.fromCharCode(half)}${after}`)).toBe(-1);
    }),
  );
  expect(maxChannelBytes).toBe(256);
});

test("what a message quotes is cut, and has no control characters", () => {
  expect(quote("a\r\n\0b")).toBe('"a\\r\\n\\u0000b"');
  expect(quote("x".repeat(500)).length).toBeLessThan(100);
});
