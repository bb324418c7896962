// Finds processes that a test run started and did not end: a hub, an nginx, a browser. Linux only (/proc); elsewhere
// it finds none.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

function readProcess(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in brackets, may itself hold brackets and blanks.
    const [state, parent, , session, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const started = rest[15];
    if (state === "Z" || state === "X") return undefined;
    return { pid: Number(pid), parent: Number(parent), session: Number(session), started };
  } catch {
    return undefined;
  }
}

function allProcesses() {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(readProcess)
      .filter(Boolean);
  } catch {
    return [];
  }
}

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}

/**
 * Watches what descends from this process from now on. By looking twice a second, because a daemon (nginx) leaves its
 * parent and its session and overwrites its environment; and by a mark in the environment, for what is too quick for that.
 *
 * @param {string} mark a text `NAME=value` that is in the environment of everything that the run starts
 */
export function watchDescendants(mark) {
  /** @type {Map<number, string>} pid → start time, which tells a process from a later one with the same pid */
  const family = new Map();
  /** Processes whose environment has been read: pid → start time. */
  const seen = new Map();
  const ownSession = readProcess(process.pid)?.session;

  function look() {
    const processes = allProcesses().filter(({ pid }) => pid !== process.pid);
    for (const { pid, started } of processes) {
      if (seen.get(pid) === started) continue;
      seen.set(pid, started);
      if (read(pid, "environ").includes(mark)) family.set(pid, started);
    }
    // A dead one's pid may come back as a stranger's, whose children are none of ours.
    const startOf = new Map(processes.map(({ pid, started }) => [pid, started]));
    for (const [pid, started] of family) if (startOf.get(pid) !== started) family.delete(pid);
    for (let before = -1; before !== family.size; ) {
      before = family.size;
      const sessions = new Set(processes.filter(({ pid }) => family.has(pid)).map(({ session }) => session));
      sessions.delete(ownSession);
      for (const { pid, parent, session, started } of processes) {
        if (parent === process.pid || family.has(parent) || sessions.has(session)) family.set(pid, started);
      }
    }
    return processes;
  }

  function alive() {
    return look().filter(({ pid, started }) => family.get(pid) === started);
  }

  look();
  const timer = setInterval(look, 500);

  return {
    /**
     * Waits up to 5 s for the last ones to end by themselves, then kills the rest.
     * @returns {Promise<string[]>} the killed: pid and command line
     */
    async end() {
      clearInterval(timer);
      let rest = alive();
      for (let tries = 0; rest.length > 0 && tries < 50; tries++) {
        await wait(100);
        rest = alive();
      }
      const told = rest.map(({ pid }) => `${pid} ${read(pid, "cmdline").replaceAll("\0", " ").trim().slice(0, 200)}`);
      for (const signal of ["SIGTERM", "SIGKILL"]) {
        for (const { pid } of alive()) {
          try {
            process.kill(pid, signal);
          } catch {
            // It has just ended.
          }
        }
        for (let tries = 0; alive().length > 0 && tries < 20; tries++) await wait(100);
      }
      return told;
    },
  };
}
