/** The examples of docs/testing.md, as they stand there: compiled, and run by the frameworks that they are for. */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compile } from "../client/support/build.js";

const run = promisify(execFile);
const library = fileURLToPath(new URL("../..", import.meta.url));
const root = join(library, "../..");
const typeRoots = [join(root, "node_modules/@types")];

/** A project of a user, with the library in its node_modules, and a file for each example. */
let folder: string;
const examples: { file: string; code: string }[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-testing-"));
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "millrace"), { recursive: true });
  cpSync(join(library, "package.json"), join(modules, "millrace/package.json"));
  symlinkSync(join(root, "node_modules/vitest"), join(modules, "vitest"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const config = {
    extends: join(library, "tsconfig.json"),
    compilerOptions: {
      ...{ rootDir: join(library, "src"), outDir: join(modules, "millrace/dist"), typeRoots },
      ...{ composite: false, tsBuildInfoFile: null },
    },
    include: [join(library, "src/testing"), join(library, "src/client")],
  };
  writeFileSync(join(folder, "build.json"), JSON.stringify(config));
  compile(["-p", join(folder, "build.json")]);
  const text = readFileSync(join(root, "docs/testing.md"), "utf8");
  for (const [, kind, code = ""] of text.matchAll(/^```(ts|js)\n(.*?)^```$/gms)) {
    const file = `example-${examples.length}.test.${kind}`;
    examples.push({ file, code });
    writeFileSync(join(folder, file), code);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const of = (what: string) => examples.filter(({ code }) => code.includes(`from "${what}"`)).map(({ file }) => file);

test.each([
  ["es2023", "node"],
  ["es2023,dom", "node"],
])("they compile with the library %s", (lib, types) => {
  const files = examples.map(({ file }) => file).filter((file) => file.endsWith(".ts"));
  expect(files.length).toBeGreaterThan(2);
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--skipLibCheck"];
  const target = ["--target", "es2023", "--module", "nodenext", "--lib", lib, "--types", types];
  if (lib.includes("dom")) {
    const native = `import { collect } from "millrace/testing";
      export const texts: Promise<string[]> = collect(new EventSource("/"), 1).then((all) => all.map(({ data }) => data));
      collect(new Response(), 1).then(([event]) => event?.channel);
      // @ts-expect-error a text is no stream
      collect("text", 1);`;
    writeFileSync(join(folder, "native.ts"), native);
    files.push("native.ts");
  }
  compile(["--ignoreConfig", "--noEmit", ...strict, ...target, "--typeRoots", typeRoots.join(), ...files], folder);
});

test("what is for node:test passes there, and its process ends", async () => {
  const files = of("node:test");
  expect(files.length).toBeGreaterThan(0);
  // The variable is that of a test under way: a test of node:test in it would report to a parent that is none.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = await run(process.execPath, ["--test", ...files], { cwd: folder, env, timeout: 20_000 });
  expect(stdout).toMatch(/pass 1\n/);
});

test("what is for Vitest passes there", async () => {
  const files = of("vitest");
  expect(files.length).toBeGreaterThan(1);
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", "--root", folder, "--reporter", "json", ...files];
  const { stdout } = await run(process.execPath, args, { cwd: folder, timeout: 30_000 });
  expect(JSON.parse(stdout.slice(stdout.indexOf("{")))).toMatchObject({ success: true, numPassedTests: 3 });
});
