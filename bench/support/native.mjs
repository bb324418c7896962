import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const cache = path.join(import.meta.dirname, "../.cache");

/** The executable of a C program of this folder, compiled when its text has changed; undefined where there is no gcc. */
export function compiled(name) {
  const source = path.join(import.meta.dirname, name);
  const hash = createHash("sha256").update(fs.readFileSync(source)).digest("hex").slice(0, 12);
  const program = path.join(cache, `${path.parse(name).name}-${process.arch}-${hash}`);
  if (fs.existsSync(program)) return program;
  fs.mkdirSync(cache, { recursive: true });
  const own = `${program}.${process.pid}`; // two runs may compile at the same time
  const { error, status } = spawnSync("gcc", ["-O2", "-Wall", "-o", own, source], { stdio: ["ignore", 2, 2] });
  if (error) return undefined;
  if (status !== 0) throw new Error(`gcc cannot compile ${source}`);
  fs.renameSync(own, program);
  return program;
}
