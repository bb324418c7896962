import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { fileURLToPath } from "node:url";

const builtBin = fileURLToPath(new URL("../../packages/millrace-hub/bin/millrace-hub.js", import.meta.url));
const startTimeoutMs = 20_000;
const stopTimeoutMs = 8_000;

/** A hub in a process of its own. */
export interface HubProcess {
  /** Where it listens, such as `http://127.0.0.1:40123`, without a slash at its end. */
  readonly url: string;
  readonly pid: number;
  /** The folder that it runs in; relative stores are below it. */
  readonly cwd: string;
  /** Everything that it has printed so far. */
  stdout(): string;
  stderr(): string;
  /** Sends a signal; default SIGTERM. False when the process has already ended. */
  kill(signal?: NodeJS.Signals): boolean;
  /** Resolves when the process has ended, however it did. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Ends the hub, after some seconds by force, and removes the folder that was made for it. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface HubOptions {
  /** Added to the environment; the MILLRACE_… settings of whoever runs the tests are left out. */
  env?: Record<string, string>;
  /** Default: a new temporary folder, so that two hubs never meet in one store. To restart on a store, give the folder. */
  cwd?: string;
  /** The executable's file; default: the one of this repository. */
  bin?: string;
}

const running = new Set<ChildProcess>();
// A worker that is ended in the middle of a test must not leave its hubs behind.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts `millrace-hub serve --port 0 ...args` and resolves once it has printed its URL. A first argument without a
 * dash is the command instead of `serve`. Needs the build. Rejects with what the hub said on standard error when it
 * ends before that, or does not get there within 20 s.
 *
 * @example await using hub = await startHub(["--store", "memory"]);
 */
export async function startHub(args: string[] = [], options: HubOptions = {}): Promise<HubProcess> {
  const [first] = args;
  const named = first !== undefined && !first.startsWith("-");
  const command = named ? first : "serve";
  const flags = named ? args.slice(1) : args;
  const cwd = options.cwd ?? (await mkdtemp(join(tmpdir(), "millrace-e2e-")));

  const child = spawn(process.execPath, [options.bin ?? builtBin, command, "--port", "0", ...flags], {
    cwd,
    env: { ...withoutHubSettings(process.env), ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);

  let stdout = "";
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });

  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on("exit", (code, signal) => resolve({ code, signal }));
    // Without a process there is no exit either.
    child.on("error", (error) => {
      stderr += `${error.message}\n`;
      if (child.pid === undefined) resolve({ code: null, signal: null });
    });
  });
  void exited.then(() => running.delete(child));

  async function dispose(): Promise<void> {
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
    await exited;
    clearTimeout(force);
    if (options.cwd === undefined) await rm(cwd, { recursive: true, force: true });
  }

  const ready = new Promise<string>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      // Only whole lines: a chunk may end in the middle of the port.
      const url = /https?:\/\/[\w.:[\]-]*[\w\]](?=[^\n]*\n)/.exec(stdout);
      if (url) resolve(url[0]);
    });
  });
  let timeLimit: NodeJS.Timeout | undefined;
  const outcome = await Promise.race([
    ready.then((url) => ({ url })),
    exited.then(({ code, signal }) => ({ problem: `ended (${signal ?? `exit code ${code}`}) before it was ready` })),
    new Promise<{ problem: string }>((resolve) => {
      timeLimit = setTimeout(resolve, startTimeoutMs, { problem: `was not ready within ${startTimeoutMs} ms` });
    }),
  ]);
  clearTimeout(timeLimit);

  if ("problem" in outcome || child.pid === undefined) {
    await dispose();
    // The end of a process may be told before the last of what it said.
    await finished(child.stderr, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    const problem = "problem" in outcome ? outcome.problem : "has no process";
    const said = `standard error: ${stderr.trim() || "(empty)"}\nstandard output: ${stdout.trim() || "(empty)"}`;
    throw new Error(`millrace-hub ${[command, "--port 0", ...flags].join(" ")} ${problem}\n${said}`);
  }
  return {
    url: outcome.url,
    pid: child.pid,
    cwd,
    stdout: () => stdout,
    stderr: () => stderr,
    kill: (signal = "SIGTERM") => child.kill(signal),
    exited,
    [Symbol.asyncDispose]: dispose,
  };
}

function withoutHubSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("MILLRACE_")));
}
