import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

/** A program of `children/`, run with the library as it is now. Ended with the test, if it has not ended before. */
export interface Child extends AsyncDisposable {
  readonly process: ChildProcess;
  /** What it has printed, in whole lines. */
  readonly lines: readonly string[];
  /** As a crash does it: it cannot clean up. */
  kill(): Promise<void>;
}

export function startChild(program: string, ...args: string[]): Child {
  const file = fileURLToPath(new URL(`children/${program}.mjs`, import.meta.url));
  const child = spawn(process.execPath, [file, compile(), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  const lines: string[] = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  const kill = async () => {
    child.kill("SIGKILL");
    await closed;
  };
  return { process: child, lines, kill, [Symbol.asyncDispose]: kill };
}

let compiled: string | undefined;

/** The library's present sources for a process of its own, which cannot run TypeScript. */
function compile(): string {
  if (compiled) return compiled;
  const out = fs.mkdtempSync(path.join(os.tmpdir(), "millrace-compiled-"));
  const root = fileURLToPath(new URL("../../../../..", import.meta.url));
  const project = path.join(root, "packages/millrace/tsconfig.json");
  const options = ["--outDir", out, "--composite", "false", "--incremental", "false", "--declaration", "false"];
  const tsc = path.join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", project, ...options, "--tsBuildInfoFile", "null"]);
  fs.writeFileSync(path.join(out, "package.json"), '{"type":"module"}');
  if (!fs.existsSync(path.join(out, "log/disk/index.js"))) throw new Error(`not compiled: ${stdout}`);
  compiled = out;
  return out;
}

afterAll(() => {
  if (compiled) fs.rmSync(compiled, { recursive: true, force: true });
  compiled = undefined;
});
