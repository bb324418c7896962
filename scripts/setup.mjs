// What a fresh clone needs before anything of Millrace can run. Imports only Node's own modules: there may be no others yet.
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { root, run } from "./run.mjs";

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** One line of progress; standard error, because the hub's line with its URL is what standard output is for. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

function readLock(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), "utf8")).packages;
  } catch {
    return undefined;
  }
}

/**
 * Whether node_modules holds what package-lock.json names. npm writes node_modules/.package-lock.json last, so that an
 * interrupted install has none. Compared by content, not by time: a checkout or a copy gives the lock file a new
 * time without changing it, and the other way round.
 */
function dependenciesAreCurrent() {
  const wanted = readLock("package-lock.json");
  const installed = readLock("node_modules/.package-lock.json");
  if (!wanted || !installed) return false;
  for (const [path, entry] of Object.entries(installed)) {
    const want = wanted[path];
    if (!want || want.version !== entry.version || want.integrity !== entry.integrity) return false;
  }
  // Optional ones are left out where the platform is another.
  return Object.entries(wanted).every(([path, entry]) => path === "" || entry.optional || installed[path]);
}

/** npm's own script when npm started us, so that no other npm on the PATH is taken. */
function npmCommand() {
  const script = process.env.npm_execpath;
  if (script && basename(script) === "npm-cli.js" && existsSync(script)) return [process.execPath, script];
  return [process.platform === "win32" ? "npm.cmd" : "npm"];
}

/**
 * `npm ci`, unless node_modules is already what package-lock.json says.
 * @returns {Promise<string>} what went wrong; empty when nothing did
 */
export async function installDependencies() {
  if (dependenciesAreCurrent()) return "";
  say("Installing dependencies (npm ci), the first time and after each change of package-lock.json …");
  const started = Date.now();
  const [command, ...before] = npmCommand();
  // --include=dev: the compiler is a development dependency, which NODE_ENV=production would leave out.
  const args = ["ci", "--include=dev", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  const { ok, problem } = await run(command, [...before, ...args], { output: "stderr", stillDoing: "installing" });
  if (!ok) {
    return `npm ci failed (${problem}); the reason is above. It needs the registry ("npm ping" tells whether it is reached). It is safe to run the same command again.`;
  }
  say(`Installed in ${seconds(Date.now() - started)}.`);
  return "";
}

/**
 * Compiles the given projects; what is up to date takes a moment only.
 * @param {string[]} projects folders with a tsconfig.json; none: everything, tests too
 * @returns {Promise<string>} what went wrong; empty when nothing did
 */
export async function build(projects = []) {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const bin = join(root, "packages/millrace-hub/dist/main.js");
  const compile = (...flags) =>
    run(process.execPath, [tsc, "-b", ...flags, ...projects], { output: "stderr", stillDoing: "building" });
  let { ok, problem } = await compile();
  // The compiler trusts its build information: output that was deleted beside it is not made again.
  if (ok && !existsSync(bin)) ({ ok, problem } = await compile("--force"));
  if (!ok) return `The build failed (tsc -b: ${problem}); the compiler's messages are above.`;
  if (!existsSync(bin)) return "The build made no packages/millrace-hub/dist/main.js.";
  return "";
}
