import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { cpuSeconds, start, stop } from "./process.mjs";
import { scratch } from "./scratch.mjs";

const bin = path.join(import.meta.dirname, "../../packages/millrace-hub/bin/millrace-hub.js");

/**
 * Starts the hub as its users do, by the command, with a disk store of its own at the default durability, on the
 * processor that is measured. `args` are added to its flags (`--store` replaces the disk store). Resolves when it is
 * ready to `{ url, port, pid, cpuSeconds(), stop() }`; `stop` also removes the store.
 */
export async function startHub({ args = [], cpu = 0, env = {} } = {}) {
  const store = scratch();
  const own = args.includes("--store") ? [] : ["--store", `disk:${store}`];
  const flags = ["serve", "--port", "0", "--log-level", "warn", ...own, ...args];
  const child = start(bin, flags, { cpu, env: { ...process.env, ...env } });
  child.once("exit", () => fs.rmSync(store, { recursive: true, force: true }));
  const [line] = await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  const url = /http:\S+/.exec(String(line))?.[0];
  if (url === undefined) throw new Error("the hub did not start; what it said is above (is it built? npm run build)");
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid,
    cpuSeconds: () => cpuSeconds(child.pid),
    stop: () => stop(child),
  };
}
