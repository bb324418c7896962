import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The executable of this repository. Needs the build. */
export const bin = fileURLToPath(new URL("../../packages/millrace-hub/bin/millrace-hub.js", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program that runs. */
export interface Command {
  readonly pid: number;
  /** Everything that it has printed so far. */
  stdout(): string;
  stderr(): string;
  /** The whole lines of its standard output so far. */
  lines(): string[];
  write(text: string): void;
  /** Closes its standard input. */
  endInput(): void;
  kill(signal?: NodeJS.Signals): void;
  /** Resolves when it has ended and everything that it said has been read. */
  readonly ended: Promise<Ended>;
  /** Ends it by force if it still runs. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A process group of its own, which is killed as one: for shells and for what starts further processes. */
  readonly group?: boolean;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a program. Its environment has no settings of a hub but those in `env`. */
export function startCommand(file: string, args: readonly string[], options: CommandOptions = {}): Command {
  const { env, cwd, group = false } = options;
  const child = spawn(file, args, {
    ...(cwd === undefined ? {} : { cwd }),
    detached: group,
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MILLRACE_"))),
      ...env,
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  running.add(child);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => {}); // it may end without having read everything
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal }));
    child.on("error", (error) => {
      stderr += `${error.message}\n`;
      if (child.pid === undefined) resolve({ code: null, signal: null });
    });
  });
  void ended.then(() => running.delete(child));
  const kill = (signal: NodeJS.Signals = "SIGTERM") => {
    if (!group || child.pid === undefined) child.kill(signal);
    else {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // it has just ended
      }
    }
  };
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    lines: () => stdout.split("\n").slice(0, -1),
    write: (text) => child.stdin.write(text),
    endInput: () => child.stdin.end(),
    kill,
    ended,
    async [Symbol.asyncDispose]() {
      if (running.has(child)) kill("SIGKILL");
      await ended;
    },
  };
}

/** Starts `millrace-hub ...args`. */
export const startCli = (args: readonly string[], options?: CommandOptions): Command =>
  startCommand(process.execPath, [bin, ...args], options);

export interface Outcome extends Ended {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export async function runCommand(
  file: string,
  args: readonly string[],
  { input = "", ...options }: CommandOptions & { readonly input?: string } = {},
): Promise<Outcome> {
  await using command = startCommand(file, args, options);
  if (input !== "") command.write(input);
  command.endInput();
  const { code, signal } = await command.ended;
  return { code, signal, stdout: command.stdout(), stderr: command.stderr() };
}

/** Runs `millrace-hub ...args` to its end. */
export const runCli = (args: readonly string[], options?: CommandOptions & { readonly input?: string }) =>
  runCommand(process.execPath, [bin, ...args], options);
