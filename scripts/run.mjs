// Runs one child process to its end, in a process group of its own, so that whatever it started ends with it.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The repository's root, with which every command starts as its working directory. */
export const root = fileURLToPath(new URL("..", import.meta.url));

const posix = process.platform !== "win32";
const forwarded = ["SIGINT", "SIGTERM", "SIGHUP"];
const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
const outputs = {
  inherit: ["ignore", "inherit", "inherit"],
  stderr: ["ignore", 2, 2],
  capture: ["ignore", "pipe", "pipe"],
};

/** @type {(exitCode: number) => void} */
let interruptHandler = (exitCode) => process.exit(exitCode);

/** Replaces what happens once a signal to this process has ended the running command; default: this process exits. */
export function onInterrupt(handler) {
  interruptHandler = handler;
}

/** @param {import("node:child_process").ChildProcess} child @param {NodeJS.Signals} signal */
function signalGroup(child, signal) {
  if (child.pid === undefined) return;
  try {
    // A command is often a wrapper (npm, the tsc launcher): the signal to the wrapper alone would leave the work running.
    if (posix) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // The group has already gone.
  }
}

/**
 * Runs a command and waits for its end. A SIGINT, SIGTERM or SIGHUP to this process ends the command first, then this
 * process with the usual exit code (128 + signal); the promise then stays pending, so that nothing else is begun.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} [options]
 * @param {NodeJS.ProcessEnv} [options.env] default: this process's
 * @param {"inherit" | "stderr" | "capture"} [options.output] where the command's two outputs go; default "inherit"
 * @param {number} [options.timeoutMs] default: none
 * @param {string} [options.stillDoing] said every 15 s while a silent command runs; default: nothing
 * @returns {Promise<{ ok: boolean, problem: string, output: string }>} `problem` is empty when ok
 */
export function run(command, args, options = {}) {
  const { env = process.env, output = "inherit", timeoutMs, stillDoing } = options;
  return new Promise((resolve) => {
    const started = Date.now();
    let captured = "";
    let timedOut = false;
    let interrupted = 0;
    const child = spawn(command, args, { cwd: root, env, stdio: outputs[output], detached: posix });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text) => {
        captured += text;
      });
    }

    let hardKill;
    const stop = (signal) => {
      signalGroup(child, signal);
      // npm takes no notice of SIGTERM in the middle of an install.
      hardKill ??= setTimeout(() => signalGroup(child, "SIGKILL"), 2_000);
    };
    const onSignal = (signal) => {
      interrupted = exitCodes[signal];
      stop(signal);
    };
    for (const signal of forwarded) process.on(signal, onSignal);
    const timeLimit =
      timeoutMs &&
      setTimeout(() => {
        timedOut = true;
        stop("SIGTERM");
      }, timeoutMs);
    const progress =
      stillDoing &&
      setInterval(() => {
        process.stderr.write(`  still ${stillDoing} (${Math.round((Date.now() - started) / 1000)} s)\n`);
      }, 15_000);

    let ended = false;
    const end = (problem) => {
      if (ended) return;
      ended = true;
      clearTimeout(timeLimit);
      clearTimeout(hardKill);
      clearInterval(progress);
      for (const signal of forwarded) process.off(signal, onSignal);
      signalGroup(child, "SIGKILL");
      if (interrupted) interruptHandler(interrupted);
      else resolve({ ok: problem === "", problem, output: captured });
    };
    child.on("error", (error) => end(`${command} could not be started: ${error.message}`));
    // "close" comes after the last output, but waits for every holder of the pipes: "exit" plus a moment bounds it.
    child.on("close", finish);
    child.on("exit", (code, signal) => setTimeout(finish, 1_000, code, signal).unref());
    function finish(code, signal) {
      if (timedOut) end(`took longer than ${timeoutMs / 1000} s`);
      else if (signal) end(`ended by ${signal}`);
      else end(code === 0 ? "" : `exit code ${code}`);
    }
  });
}
