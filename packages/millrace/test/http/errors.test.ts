import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Problem, problemOf } from "../../src/http/problem.js";
import type { MillraceErrorCode } from "../../src/index.js";
import { MillraceError } from "../../src/index.js";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const page = readFileSync(at("../../../../docs/errors.md"), "utf8");
const [overHttp = "", inProgram = ""] = page.split("## In a program");

/** The rows of a table, by the code in their first cell. */
function rowsOf(text: string): Map<string, string[]> {
  const rows = text.matchAll(/^\| `(\w+)` \|(.*)\|$/gm);
  return new Map(Array.from(rows, ([, code = "", cells = ""]) => [code, cells.split("|").map((cell) => cell.trim())]));
}

const sources = readdirSync(at("../../src/http"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => readFileSync(at(`../../src/http/${name}`), "utf8"));

/** Every status and code that the HTTP API writes of its own. */
function usedOverHttp(): { code: string; status: number }[] {
  const used = sources.flatMap((source) =>
    Array.from(source.matchAll(/new Problem\(\s*(\d+),\s*"(\w+)"/g), ([, status, code]) => ({ code, status })),
  );
  return used.map(({ code, status }) => ({ code: code as string, status: Number(status) }));
}

const union =
  readFileSync(at("../../src/protocol/errors.ts"), "utf8").split("export type MillraceErrorCode =")[1] ?? "";
const codes = Array.from((union.split(";")[0] ?? "").matchAll(/"(\w+)"/g), ([, code]) => code as MillraceErrorCode);

test("every code of the HTTP API is documented, with its status, meaning and what to do", () => {
  const rows = rowsOf(overHttp);
  const used = usedOverHttp();
  expect(used.length).toBeGreaterThan(25);
  const literals = sources.join("").match(/new Problem\(/g) ?? [];
  const fromCode = 1; // problemOf takes status and code from a MillraceError: below
  expect(used.length + fromCode).toBe(literals.length);
  for (const { code, status } of used) {
    expect(rows.get(code)?.[0], code).toBe(String(status));
    expect(
      rows
        .get(code)
        ?.slice(1)
        .every((cell) => cell.length > 3),
      code,
    ).toBe(true);
  }
});

test("every code of MillraceError is documented, and with its status where it reaches a client", () => {
  expect(codes.length).toBeGreaterThan(10);
  const rows = rowsOf(inProgram);
  for (const code of codes) {
    expect(rows.get(code), code).toHaveLength(2);
    const problem = problemOf(new MillraceError(code, "text"));
    if (problem) expect(rowsOf(overHttp).get(code)?.[0], code).toBe(String(problem.status));
  }
});

test("nothing is documented that is not there", () => {
  expect([...rowsOf(inProgram).keys()].sort()).toEqual([...codes].sort());
  const reachable = codes.filter((code) => problemOf(new MillraceError(code, "text")));
  const known = new Set([...usedOverHttp().map(({ code }) => code), ...reachable]);
  expect([...rowsOf(overHttp).keys()].sort()).toEqual([...known].sort());
});

test("an error that is no business of the client's is none of its answer", () => {
  expect(problemOf(new Error("/secret"))).toBeUndefined();
  expect(problemOf(new MillraceError("store_locked", "/secret"))).toBeUndefined();
  expect(problemOf(new MillraceError("store_failed", "/secret"))?.message).not.toContain("secret");
  const own = new Problem(418, "teapot", "short and stout");
  expect(problemOf(own)).toBe(own);
});
