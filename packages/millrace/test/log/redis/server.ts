import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createClient } from "redis";
import type { RedisClientLike } from "../../../src/log/redis/index.js";
import { until } from "../support.js";

declare module "vitest" {
  interface TaskMeta {
    /** Why a suite is skipped; the test run prints it at its end. */
    skipReason?: string;
  }
}

function find(names: readonly string[]): string | undefined {
  const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
  return folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Whether this machine has a Redis to start; the reason is empty when it has. */
export function redisAvailable(): { available: boolean; reason: string } {
  const available = find(["redis-server", "valkey-server"]) !== undefined;
  return { available, reason: available ? "" : "no Redis on this machine (Debian: apt-get install redis-server)" };
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const running = new Set<ChildProcess>();
// A worker that is ended in the middle of a test must not leave them behind.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A real Redis of its own. Its folder goes with it. */
export interface TestRedis extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  client(): RedisClientLike;
  /** Runs one command over a connection of its own. */
  command(...args: string[]): Promise<unknown>;
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again in its folder; `empty`: without its data. */
  start(options?: { empty?: boolean; args?: readonly string[] }): Promise<void>;
}

/** Starts a Sentinel that watches a master and decides alone. */
export async function startSentinel(name: string, port: number): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-sentinel-"));
  const file = join(folder, "sentinel.conf");
  writeFileSync(
    file,
    [
      `sentinel monitor ${name} 127.0.0.1 ${port} 1`,
      `sentinel down-after-milliseconds ${name} 500`,
      `sentinel failover-timeout ${name} 5000`,
      "",
    ].join("\n"),
  );
  const sentinel = await startRedis([file, "--sentinel"]);
  return {
    ...sentinel,
    [Symbol.asyncDispose]: async () => {
      await sentinel[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts a Redis on a free port of loopback. `args` are settings, such as `["--appendonly", "yes"]`; a file of them may be in front. */
export async function startRedis(args: readonly string[] = []): Promise<TestRedis> {
  const binary = find(["redis-server", "valkey-server"]);
  if (binary === undefined) throw new Error(redisAvailable().reason);
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let folder = mkdtempSync(join(tmpdir(), "millrace-redis-"));
  const folders = [folder];
  let child: ChildProcess | undefined;
  let settings = args;
  const client = () => {
    const made = createClient({ url });
    made.on("error", () => {});
    return made;
  };
  const command = async (...words: string[]): Promise<unknown> => {
    const one = createClient({ url, socket: { reconnectStrategy: false } });
    one.on("error", () => {});
    await one.connect();
    try {
      return await one.sendCommand(words);
    } finally {
      one.destroy();
    }
  };
  const start = async (): Promise<void> => {
    const fixed = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--daemonize", "no"];
    const own = ["--save", "", "--repl-diskless-sync-delay", "0"];
    const isFile = settings[0] !== undefined && !settings[0].startsWith("--");
    const words = isFile ? [...settings.slice(0, 1), ...fixed, ...settings.slice(1)] : [...fixed, ...own, ...settings];
    const started = spawn(binary, words, { stdio: "ignore" });
    child = started;
    running.add(started);
    started.once("exit", () => running.delete(started));
    await until("Redis is there", () =>
      command("PING").then(
        () => true,
        (error: Error) => error.message.startsWith("NOAUTH"),
      ),
    );
  };
  const kill = async (signal: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child?.once("exit", resolve));
    child.kill("SIGCONT");
    child.kill(signal);
    await gone;
  };
  await start();
  return {
    port,
    url,
    get pid() {
      return child?.pid ?? 0;
    },
    client,
    command,
    kill,
    start: async ({ empty = false, args: more } = {}) => {
      if (more) settings = more;
      if (empty) {
        folder = mkdtempSync(join(tmpdir(), "millrace-redis-"));
        folders.push(folder);
      }
      await start();
    },
    [Symbol.asyncDispose]: async () => {
      await kill();
      for (const each of folders) rmSync(each, { recursive: true, force: true });
    },
  };
}
