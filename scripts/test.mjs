// npm test [-- VITEST ARGUMENTS]: everything that says whether Millrace is well, in one command, on a fresh clone too.
// The last line of output is exactly `N passed, N failed` (and `, N skipped` if any).
import "./node-version.mjs";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { endWithParent } from "./parent.mjs";

endWithParent();

const { build, installDependencies } = await import("./setup.mjs");
const { provideSystemPackages } = await import("./system-packages.mjs");
const { watchDescendants } = await import("./leftovers.mjs");
const { onInterrupt, root, run } = await import("./run.mjs");
const { skipsFileVariable } = await import("./skip-reporter.mjs");

const inCi = !["", "0", "false"].includes(process.env.CI ?? "");
const runMark = randomUUID();
process.env.TEST_RUN_MARK = runMark;
const scratch = mkdtempSync(join(tmpdir(), "millrace-test-"));
const minutes = 60_000;

/** @typedef {{ passed?: number, failed?: number, skipped?: number, problems?: string[] }} Outcome */
/** @type {{ name: string, ms: number, passed: number, failed: number, skipped: number }[]} */
const results = [];
/** @type {{ what: string, reason: string }[]} */
const skips = [];
/** @type {string[]} */
const failures = [];

const say = (line = "") => process.stdout.write(`${line}\n`);
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const passed = { passed: 1 };
const failed = (problem) => ({ failed: 1, problems: [problem] });

/** @param {string} name @param {() => Promise<Outcome>} action */
async function step(name, action) {
  say(`\n── ${name} ${"─".repeat(Math.max(0, 100 - name.length))}`);
  const started = Date.now();
  const { problems = [], ...counts } = await action();
  const result = { name, ms: Date.now() - started, passed: 0, failed: 0, skipped: 0, ...counts };
  results.push(result);
  for (const problem of problems) failures.push(`${name}: ${problem}`);
  say(`${verdict(result)} ${name} (${seconds(result.ms)})`);
  return result.failed === 0;
}

function verdict({ failed: failures, passed: passes }) {
  return failures > 0 ? "FAIL" : passes > 0 ? "pass" : "skip";
}

/** Runs a tool out of node_modules. */
function tool(script, args, timeoutMs, env) {
  return run(process.execPath, [join(root, "node_modules", script), ...args], {
    timeoutMs,
    env: { ...process.env, ...env },
  });
}

async function checkWith(script, args) {
  const { ok, problem } = await tool(script, args, 10 * minutes);
  return ok ? passed : failed(problem);
}

async function systemPackages() {
  const missing = await provideSystemPackages(say);
  if (missing.length === 0) return passed;
  const problems = missing.map(({ name, usedBy, reason }) => `${name} is missing, which ${usedBy} need: ${reason}`);
  for (const problem of problems) say(problem);
  if (inCi) return { failed: 1, problems };
  for (const { name, usedBy, reason } of missing) skips.push({ what: `${name}, for ${usedBy}`, reason });
  return { skipped: 1 };
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/** @returns {Promise<Outcome>} */
async function tests() {
  const report = join(scratch, "report.json");
  const skipsFile = join(scratch, "skips.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const { ok, problem } = await tool(
    "vitest/vitest.mjs",
    ["run", ...reporters, "--reporter=./scripts/skip-reporter.mjs", ...process.argv.slice(2)],
    60 * minutes,
    { [skipsFileVariable]: skipsFile },
  );
  const json = readJson(report);
  if (!json) return failed(`vitest gave no report (${problem || "exit code 0"})`);

  const problems = [];
  for (const file of json.testResults) {
    const name = relative(root, file.name);
    const broken = file.assertionResults.filter(({ status }) => status === "failed");
    for (const test of broken) problems.push([name, ...test.ancestorTitles.filter(Boolean), test.title].join(" > "));
    // A file that cannot be loaded, or whose hook fails, has no failed test to show for it.
    if (file.status === "failed" && broken.length === 0) problems.push(`${name}: ${file.message.split("\n")[0]}`);
  }
  if (!ok && problems.length === 0)
    problems.push(`vitest: ${problem} without a failed test (an unhandled error is above)`);
  for (const { test, reason } of readJson(skipsFile) ?? []) skips.push({ what: test, reason });
  return {
    passed: json.numPassedTests,
    failed: problems.length,
    skipped: json.numPendingTests + json.numTodoTests,
    problems,
  };
}

function summarise() {
  say(`\n── summary ${"─".repeat(93)}`);
  for (const result of results) {
    const { name, ms, passed, failed, skipped } = result;
    const counts = passed + failed + skipped > 1 ? `   ${closingLine([result])}` : "";
    say(`${verdict(result)}  ${name.padEnd(22)} ${seconds(ms).padStart(8)}${counts}`);
  }
  const reasons = new Set(skips.map(({ reason }) => reason));
  for (const reason of reasons) {
    say(`\nSkipped: ${reason}`);
    for (const { what } of skips.filter((skip) => skip.reason === reason)) say(`  ${what}`);
  }
  if (failures.length > 0) say("\nFailed:");
  for (const failure of failures) say(`  ${failure}`);
  say();
  say(closingLine(results));
}

function closingLine(counted) {
  const sum = (key) => counted.reduce((total, result) => total + result[key], 0);
  const skipped = sum("skipped");
  return `${sum("passed")} passed, ${sum("failed")} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** @returns {Promise<Outcome>} */
async function leftovers() {
  const left = await family.end();
  return left.length === 0
    ? passed
    : { failed: 1, problems: left.map((process) => `left behind and now ended: ${process}`) };
}

const orFailed = (problem) => (problem ? failed(problem) : passed);

/** What needs the build, in the order in which it is run. */
const checks = [
  ["lint", () => checkWith("@biomejs/biome/bin/biome", ["check", "."])],
  ["unused code", () => checkWith("knip/bin/knip.js", [])],
  ["tests", tests],
];

const family = watchDescendants(`TEST_RUN_MARK=${runMark}`);

onInterrupt(async (exitCode) => {
  await family.end();
  results.push({ name: "interrupted", ms: 0, passed: 0, failed: 1, skipped: 0 });
  failures.push("interrupted: what followed was not run");
  summarise();
  rmSync(scratch, { recursive: true, force: true });
  process.exitCode = exitCode;
});

const installed = await step("set-up", async () => orFailed(await installDependencies()));
if (installed) await step("system packages", systemPackages);
const built = installed && (await step("types and build", async () => orFailed(await build())));
for (const [name, check] of checks) {
  await step(
    name,
    built ? check : async () => failed(`not run, because ${installed ? "the build" : "the set-up"} failed`),
  );
}
await step("no process left behind", leftovers);

summarise();
rmSync(scratch, { recursive: true, force: true });
process.exitCode = results.some(({ failed }) => failed > 0) ? 1 : 0;
