import { fork } from "node:child_process";
import fs from "node:fs";
import os from "node:os";

/** Starts a script on one processor where that can be chosen (taskset, Linux): what is measured on 0, the load on 1. */
export function start(script, args, { cpu, ...options } = {}) {
  const pinned = cpu !== undefined && os.cpus().length > 1 && fs.existsSync("/usr/bin/taskset");
  return fork(script, args, {
    ...options,
    stdio: ["ignore", "pipe", "inherit", "ipc"],
    ...(pinned ? { execPath: "/usr/bin/taskset", execArgv: ["-c", String(cpu), process.execPath] } : {}),
  });
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

const ticksPerSecond = 100;

/** Seconds of processor time that a process has used. */
export function cpuSeconds(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
