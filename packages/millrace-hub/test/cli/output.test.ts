import { describe, expect, it } from "vitest";
import { printable } from "../../src/cli/output.js";

describe("printable", () => {
  it.each([
    ["plain text, ünïcödé and 🎉", "plain text, ünïcödé and 🎉"],
    ["two\nlines", "two\\nlines"],
    ["\r\n", "\\r\\n"],
    ["a\ttab", "a\ttab"],
    ["\u001b[2J\u001b]0;title\u0007", "\\u001b[2J\\u001b]0;title\\u0007"],
    ["\0\u007f\u0080\u009b31m", "\\u0000\\u007f\\u0080\\u009b31m"],
    ["next\u0085line\u2028and\u2029", "next\\u0085line\\u2028and\\u2029"],
    ["right-to-left \u202egnp.exe", "right-to-left \\u202egnp.exe"],
  ])("%j", (text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  it("leaves JSON that JSON.stringify wrote as it is", () => {
    const json = JSON.stringify({ text: 'a\n\u0000"b\\', list: [1, null] });
    expect(printable(json)).toBe(json);
  });
});
