/** What servers, tokens and handlers do that nobody expects. */
import { expect, onTestFinished, test } from "vitest";
import { backoffMs } from "../../src/client/backoff.js";
import { type ConnectOptions, connect, EventSource, type Subscription } from "../../src/client/index.js";
import { type FaultServer, startFaultServer } from "../../src/testing/index.js";
import { until } from "../hub/until.js";

const quick = { baseMs: 5, maxMs: 10 };
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function serve(): Promise<FaultServer> {
  const server = await startFaultServer();
  onTestFinished(() => server.close());
  return server;
}

function follow(url: string, options: ConnectOptions = {}): { stream: Subscription; told: string[] } {
  const stream = connect(url, { backoff: quick, ...options });
  onTestFinished(() => stream.close());
  const told: string[] = [];
  for (const type of ["open", "error", "gap", "snapshot", "comment", "gaveup", "close", "message", "*"]) {
    stream.on(type, () => void told.push(type));
  }
  stream.on("state", ({ state }) => void told.push(state));
  return { stream, told };
}

test.each([
  ["connecting", ({ state }: { state?: string }) => state === "connecting"],
  ["open", () => true],
  ["state", ({ state }: { state?: string }) => state === "open"],
  ["state", ({ state }: { state?: string }) => state === "waiting"],
  ["snapshot", () => true],
  ["comment", () => true],
  ["message", () => true],
  ["error", () => true],
])("close() in a handler of %s is the end: nothing is told after it, and nothing is asked", async (type, when) => {
  const server = await serve();
  const requests = server.script("/events", () => ({ body: [": c\n: d\n\ndata: 1\n\ndata: 2\n\n"] }));
  const { stream, told } = follow(`${server.origin}/events`, { snapshot: () => ({ position: "p", data: 1 }) });
  stream.on(type === "connecting" ? "state" : type, (event) => {
    if (when(event as { state?: string })) stream.close();
  });
  await until(() => told.includes("close"));
  const asked = requests.length;
  await pause(60);
  // All handlers of an event have it, whatever one of them does, as with an EventTarget.
  expect(told.slice(told.indexOf("close") + 1)).toEqual(type === "message" ? ["*"] : []);
  expect(stream.state).toBe("closed");
  expect(requests.length).toBe(asked);
  if (type === "connecting") expect(asked).toBe(0);
});

test("reconnect() in a handler does not wait", async () => {
  const server = await serve();
  const requests = server.script("/events", () => ({ status: 503 }));
  const { stream } = follow(`${server.origin}/events`, { backoff: { baseMs: 60_000, jitter: 0 } });
  stream.on("state", ({ state }) => state === "waiting" && stream.reconnect());
  await until(() => requests.length >= 3);
});

test("an id that no header can carry ends it, and is not tried again for ever", async () => {
  const server = await serve();
  const requests = server.script("/events", () => ({ body: ["retry: 1\nid: a\x01b\ndata: 1\n\n"] }));
  const { stream, told } = follow(`${server.origin}/events`);
  await until(() => stream.state === "closed");
  expect(stream.status.error).toMatchObject({ code: "invalid_data", message: expect.stringContaining("a\\u0001b") });
  expect(told).toContain("message");
  expect(requests).toHaveLength(1);

  const source = new EventSource(`${server.origin}/events`);
  onTestFinished(() => source.close());
  const errors: (string | undefined)[] = [];
  source.onerror = ({ message }) => void errors.push(message);
  await until(() => source.readyState === 2);
  expect(errors.at(-1)).toContain("a\\u0001b");
  expect(requests).toHaveLength(2);
});

test("an id that is too long for any header ends it", async () => {
  const server = await serve();
  const requests = server.script("/events", () => ({ body: [`retry: 1\nid: ${"x".repeat(300_000)}\ndata: 1\n\n`] }));
  const { stream } = follow(`${server.origin}/events`);
  await until(() => stream.state === "closed");
  expect(stream.status.error).toMatchObject({ code: "invalid_data" });
  expect(requests).toHaveLength(1);
});

test("a snapshot that is none is said", async () => {
  const server = await serve();
  server.script("/events", () => ({ body: ["data: 1\n\n"], finish: "stall" }));
  const answers = [undefined, null, { position: "p", data: 1 }];
  const { stream } = follow(`${server.origin}/events`, { snapshot: () => answers.shift() as never });
  const errors: string[] = [];
  stream.on("error", ({ error }) => void errors.push(error.message));
  await until(() => stream.state === "open");
  expect(errors).toEqual([
    expect.stringContaining("{ position, data }"),
    expect.stringContaining("{ position, data }"),
  ]);
});

test("a snapshot may take as long as an answer", async () => {
  const server = await serve();
  const requests = server.script("/events", () => ({ body: ["data: 1\n\n"], finish: "stall" }));
  let asked = 0;
  const { stream } = follow(`${server.origin}/events`, {
    openMs: 50,
    snapshot: () => (asked++ === 0 ? new Promise(() => {}) : { position: "p", data: 1 }),
  });
  const errors: string[] = [];
  stream.on("error", ({ error }) => void errors.push(error.message));
  await until(() => stream.state === "open");
  expect(errors).toEqual([expect.stringContaining("50 ms")]);
  expect(requests).toHaveLength(1);
});

test("a wait that no timer can hold is shown as it is waited", async () => {
  const server = await serve();
  server.script("/events", () => ({ status: 503, headers: { "retry-after": "99999999999999" } }));
  const { stream } = follow(`${server.origin}/events`);
  await until(() => stream.state === "waiting");
  expect(stream.status.waitMs).toBeLessThanOrEqual(2 ** 31);
  expect(new Date(stream.status.untilMs ?? Number.NaN).getTime()).not.toBeNaN();
});

test("a Content-Type of the application's own goes alone, however it is written", async () => {
  const server = await serve();
  const requests = server.script("/events", () => ({ body: ["data: 1\n\n"], finish: "stall" }));
  for (const name of ["content-type", "Content-Type"]) {
    const { stream } = follow(`${server.origin}/events`, {
      ...{ method: "REPORT", body: '{"hello": "world"}', headers: { [name]: "application/json; charset=utf-8" } },
    });
    await until(() => stream.state === "open");
  }
  follow(`${server.origin}/events`, { body: 1 });
  await until(() => requests.length === 3);
  expect(requests.map(({ method, headers }) => [method, headers["content-type"]])).toEqual([
    ["REPORT", "application/json; charset=utf-8"],
    ["REPORT", "application/json; charset=utf-8"],
    ["POST", "application/json"],
  ]);
});

test("a wait stays a number, however often it has failed", () => {
  for (const failures of [1, 100, 10_000]) {
    expect(backoffMs({ baseMs: 0 }, failures)).toBe(0);
    expect(backoffMs({}, failures)).toBeLessThanOrEqual(30_000);
  }
});
