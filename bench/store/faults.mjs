// What each candidate does when the process is killed, the disk is full, or a file is damaged.
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const CHILD = path.join(import.meta.dirname, "child.mjs");
const TIMEOUT_MS = 60_000;

/** Runs a task of child.mjs. `onLine` gets each line and the process, so that it can kill it. */
export async function runChild(args, onLine = () => {}) {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ["ignore", "pipe", "pipe"], timeout: TIMEOUT_MS });
  const lines = [];
  let [rest, stderr] = ["", ""];
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  child.stdout.on("data", (chunk) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    for (const part of parts) {
      lines.push(JSON.parse(part));
      onLine(lines.at(-1), child);
    }
  });
  const [code, signal] = await new Promise((resolve) => child.on("close", (...how) => resolve(how)));
  return { lines, code, signal, stderr };
}

const ending = ({ code, signal, stderr }) =>
  code === 0
    ? "ok"
    : `${signal ?? `exit ${code}`}${/LEVEL_\w+|Input\/output error/.exec(stderr)?.[0].replace(/^/, ", ") ?? ""}`;

export async function verify(name, dir, expected) {
  const run = await runChild(["verify", name, dir]);
  const found = run.lines.at(-1);
  if (run.code !== 0 || !found) return `does not open (${ending(run)})`;
  const lost = Math.max(0, expected - (found.count - found.wrong));
  return `opens, ${lost} lost, ${found.wrong} wrong`;
}

function fillUp(file) {
  const fd = fs.openSync(file, "w");
  for (let size = 2 ** 20; size >= 1; size = size / 2) {
    try {
      for (;;) if (fs.writeSync(fd, Buffer.alloc(size)) < size) break;
    } catch (error) {
      if (error.code !== "ENOSPC") throw error;
    }
  }
  fs.closeSync(fd);
}

const tally = (answers) =>
  [...new Set(answers)].map((answer) => `${answers.filter((other) => other === answer).length}× ${answer}`).join("; ");

async function fullDiskOnce(name, mount, { appendSize, ballastMiB }) {
  const [dir, ballast] = [path.join(mount, "log"), path.join(mount, "ballast")];
  fs.mkdirSync(dir);
  fs.writeFileSync(ballast, Buffer.alloc(ballastMiB * 2 ** 20));
  const run = await runChild(["full", name, dir, ballast, String(appendSize)]);
  const at = (stage) => run.lines.findLast((line) => line.stage === stage);
  const freed = at("freed");
  const acknowledged = run.lines.at(-1)?.last ?? 0;
  fs.rmSync(ballast, { force: true });
  const rows = {
    "1,000 refused writes": at("refused") ? "survives" : `ends (${ending(run)})`,
    "goes on once space is freed": freed ? (freed.failures === 0 ? "yes" : "no, not before it is reopened") : "–",
  };
  rows["reopened afterwards, with space"] = await verify(name, dir, acknowledged);
  fillUp(ballast);
  rows["reopened while full"] = await verify(name, dir, acknowledged);
  fs.rmSync(ballast);
  rows["reopened after that, with space"] = await verify(name, dir, acknowledged);
  return rows;
}

/** Each round on a fresh tmpfs of 24 MiB; appends of 1, 10 and 100 events in turn, and the disk full at other moments. */
export async function fullDisk(name, mount, roundCount) {
  fs.mkdirSync(mount);
  const rounds = [];
  for (let round = 0; round < roundCount; round++) {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", mount]);
    try {
      rounds.push(await fullDiskOnce(name, mount, { appendSize: 10 ** (round % 3), ballastMiB: 16 + (round % 4) }));
    } finally {
      execFileSync("umount", [mount]);
    }
  }
  return Object.fromEntries(Object.keys(rounds[0]).map((label) => [label, tally(rounds.map((round) => round[label]))]));
}

export async function killed(name, dir) {
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(dir);
  const results = [];
  let from = 0;
  for (let round = 0; round < 5; round++) {
    let armed = false;
    const run = await runChild(["write", name, dir, String(from)], (_acknowledged, child) => {
      if (!armed) setTimeout(() => child.kill("SIGKILL"), 100 + round * 60);
      armed = true;
    });
    from = run.lines.at(-1);
    const found = (await runChild(["verify", name, dir])).lines.at(-1);
    results.push(found && found.last >= from && found.wrong === 0 && found.count === found.last);
    from = found?.last ?? 0;
  }
  return { "rounds with every acknowledged event intact": `${results.filter(Boolean).length} of 5 (${from} events)` };
}
