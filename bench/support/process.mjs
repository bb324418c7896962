import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

/** Where a program is that can be started by its name; undefined when it is not installed. */
export function onPath(name) {
  const folders = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/sbin"];
  return folders.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
}

const taskset = onPath("taskset");
const canPin = os.cpus().length > 1 && taskset !== undefined;

/** What pinning there is, for the report: a figure without it means something else. */
export const pinning = canPin ? "server on core 0, load on core 1" : "not pinned: server and load share all cores";

const children = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});
// An end by a signal is none by itself, and servers would go on without anybody to stop them.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

function remember(child) {
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

/** Starts a script that speaks by messages, on one processor where that can be chosen: what is measured on 0, the load on 1. */
export function start(script, args, { cpu, ...options } = {}) {
  const pinned = cpu !== undefined && canPin;
  return remember(
    fork(script, args, {
      ...options,
      stdio: ["ignore", "pipe", "inherit", "ipc"],
      ...(pinned ? { execPath: taskset, execArgv: ["-c", String(cpu), process.execPath] } : {}),
    }),
  );
}

/** Starts any program, on one processor where that can be chosen. */
export function launch(command, args, { cpu, ...options } = {}) {
  const pinned = cpu !== undefined && canPin ? [taskset, "-c", String(cpu)] : [];
  const [file, ...rest] = [...pinned, command, ...args].map(String);
  return remember(spawn(file, rest, { stdio: ["ignore", "pipe", "inherit"], ...options }));
}

/** Ends a child by force and waits until it has ended. */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** The next message for which `wanted` is true; rejects when the child ends without one. */
export function message(child, wanted = () => true) {
  return new Promise((resolve, reject) => {
    const hear = (value) => wanted(value) && settle(resolve, value);
    const end = (code) => settle(reject, new Error(`${child.spawnargs.join(" ")} ended, with ${code}`));
    const settle = (how, value) => {
      child.off("message", hear).off("exit", end);
      how(value);
    };
    child.on("message", hear).on("exit", end);
  });
}

/** The lines of JSON that a program prints: `on` hears all, `next` resolves to the first for which `wanted` is true. */
export function lines(child) {
  const input = createInterface({ input: child.stdout });
  const ended = once(input, "close");
  const on = (listener) => input.on("line", (line) => listener(JSON.parse(line)));
  const next = (wanted) =>
    new Promise((resolve, reject) => {
      on((line) => wanted(line) && resolve(line));
      ended.then(() => reject(new Error(`${child.spawnargs.slice(0, 4).join(" ")}… ended, and did not say it`)));
    });
  return { on, next };
}

/**
 * Seconds of processor time that a process has used, in itself and in the system; of several their sum. Linux only. The
 * scheduler's nanoseconds of each thread: utime and stime count hundredths of a second, too coarse for a short run.
 */
export function cpuSeconds(...pids) {
  const threads = pids.flatMap((pid) => fs.readdirSync(`/proc/${pid}/task`).map((id) => `/proc/${pid}/task/${id}`));
  return threads.reduce(
    (sum, thread) => sum + Number.parseInt(fs.readFileSync(`${thread}/schedstat`, "utf8"), 10) / 1e9,
    0,
  );
}
