import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { PollingClient, type PollingOptions } from "../../src/client/index.js";
import { type FaultServer, type ScriptedAnswer, startFaultServer } from "../../src/testing/index.js";
import { until } from "../hub/until.js";

let server: FaultServer;
beforeEach(async () => {
  server = await startFaultServer();
});
afterEach(() => server[Symbol.asyncDispose]());

function poll(answers: readonly ScriptedAnswer[], options: PollingOptions = {}) {
  const seen = server.script("/", answers);
  const client = new PollingClient(server.origin, { intervalMs: 5, ...options });
  onTestFinished(() => client.stop());
  const told: unknown[] = [];
  client.on("data", ({ data, changed }) => told.push([data, changed]));
  client.on("error", ({ error }) => told.push(error.message));
  return { client, told, seen };
}

const json = (body: string): ScriptedAnswer => ({ headers: { "content-type": "application/json" }, body: [body] });

test("asks until it is stopped, whatever fails meanwhile, and counts what was for nothing", async () => {
  const answers: ScriptedAnswer[] = [json("1"), json("1"), { status: 500 }, "cut", json("{"), json("2")];
  const { client, told, seen } = poll([...answers, ...Array.from({ length: 1000 }, () => json("3"))]);
  client.start();
  client.start();
  await until(() => told.length >= 7);
  expect(told.slice(0, 7)).toEqual([
    [1, true],
    [1, false],
    "the server has answered 500",
    expect.stringContaining("fetch failed"),
    expect.stringContaining("JSON"),
    [2, true],
    [3, true],
  ]);
  expect(client.stats.failures).toBe(3);
  expect(client.stats.unchanged).toBeGreaterThanOrEqual(1);
  client.stop();
  expect(client.isRunning).toBe(false);
  const asked = seen.length;
  await new Promise((resolve) => setTimeout(resolve, 40)); // nothing may come: eight intervals
  expect(seen.length).toBe(asked);
  client.start();
  await until(() => seen.length > asked);
});

test("stopped in a handler, or while it asks, it says no more", async () => {
  const { client, told, seen } = poll([json("1"), json("2")]);
  client.on("data", () => client.stop());
  client.start();
  await until(() => told.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(seen).toHaveLength(1);
  const hanging = poll(["stall"]);
  hanging.client.start();
  await until(() => hanging.seen.length === 1);
  hanging.client.stop();
  await until(() => hanging.seen[0]?.closed === true);
  expect(hanging.told).toEqual([]);
});

test("parses what it is told to, and refuses options that are none", async () => {
  const { client, told } = poll([json("1;2")], { parse: (text) => text.split(";") });
  client.start();
  await until(() => told.length === 1);
  expect(told).toEqual([[["1", "2"], true]]);
  expect(() => new PollingClient("/", { intervalMs: 0 })).toThrow("intervalMs");
  expect(() => new PollingClient("/", { interval: 1 } as never)).toThrow('no option "interval"');
});

test("goes on when an answer does not come, or does not end", async () => {
  const answers: ScriptedAnswer[] = ["stall", { ...(json("1") as object), finish: "stall" }, json("2")];
  const { client, told } = poll(answers, { timeoutMs: 50 });
  client.start();
  await until(() => told.length >= 3);
  expect(told).toEqual([expect.stringContaining("50 ms"), expect.stringContaining("50 ms"), [2, true]]);
});
