import { describe, expect, it } from "vitest";
import { commands } from "../../src/cli/commands.js";
import { helpText } from "../../src/cli/help.js";

describe.each(Object.entries(commands))("the help of %s", (name, command) => {
  const text = helpText(command);
  /** What the help says of one option, its lines joined. */
  const said = (option: string) =>
    new RegExp(`^  --${option}(?: \\S+)?\n((?: {6}.*\n)+)`, "m").exec(text)?.[1]?.replace(/\s+/g, " ").trim() ?? "";

  it("fits into 80 columns, and has no blanks at the end of lines", () => {
    expect(text.split("\n").filter((line) => line.length > 80 || /\s$/.test(line))).toEqual([]);
  });

  it("begins with how it is called", () => {
    expect(text).toMatch(new RegExp(`^Usage:\n  millrace-hub ${name} `));
  });

  it("has every option, with its default and how it is turned off", () => {
    for (const [option, { help, default: fallback, value, off, many }] of Object.entries(command.options)) {
      expect(said(option)).toContain(help);
      expect(said(option)).toContain(`Default: ${fallback ?? (value === undefined ? "off" : "none")}.`);
      if (off !== undefined && off !== fallback) expect(said(option)).toContain(`Turned off by: ${off}.`);
      if (many) expect(said(option)).toContain("several times");
    }
  });

  it("tells the units of the values that have one", () => {
    for (const value of ["TIME", "SIZE"]) {
      const used = Object.values(command.options).some((option) => option.value === value);
      expect(text.includes(`${value} is a number with one of `)).toBe(used);
    }
  });

  it("ends each option's help with a full stop", () => {
    expect(Object.entries(command.options).filter(([, { help }]) => !help.endsWith("."))).toEqual([]);
  });

  it("parses its own defaults", () => {
    for (const { default: fallback, parse } of Object.values(command.options)) {
      if (fallback !== undefined) parse(fallback);
    }
  });
});
