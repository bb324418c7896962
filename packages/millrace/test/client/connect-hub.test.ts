/** `connect` against a real hub, on a real server, behind proxies that do their worst. */
import http from "node:http";
import type net from "node:net";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type ConnectOptions, connect, type Subscription } from "../../src/client/index.js";
import { createHub, type Millrace, type MillraceOptions } from "../../src/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import { startFaultServer } from "../../src/testing/index.js";
import { until } from "../hub/until.js";

const quick = { baseMs: 5, maxMs: 20 };

async function serve(options: MillraceOptions = {}): Promise<{ hub: Millrace; url: string; port: number }> {
  const hub = createHub({ authorize: () => ({}), heartbeatMs: 50, retryMs: 0, ...options });
  const server = http.createServer(hub.listener);
  const port = await listen(server);
  onTestFinished(async () => {
    server.closeAllConnections();
    await hub.close({ drainMs: 0 });
    server.close();
  });
  return { hub, port, url: `http://127.0.0.1:${port}/events` };
}

async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function follow(
  url: string,
  options: ConnectOptions = {},
): { stream: Subscription; datas: unknown[]; states: string[] } {
  const stream = connect(url, { backoff: quick, ...options });
  onTestFinished(() => stream.close());
  const datas: unknown[] = [];
  const states: string[] = [];
  stream.on("*", ({ data }) => void datas.push(data));
  stream.on("state", ({ state }) => void states.push(state));
  return { stream, datas, states };
}

const isOpen = (stream: Subscription) => until(() => stream.state === "open" && stream.lastEventId !== "");

/** The hub of this port, behind a proxy that can be told to do its worst. */
async function startProxy(port: number) {
  const proxy = await startFaultServer({ target: `http://127.0.0.1:${port}` });
  onTestFinished(() => proxy.close());
  return { ...proxy, url: `${proxy.origin}/events` };
}

test("over connections that are cut again and again nothing is lost, and nothing comes twice", async () => {
  const { hub, port } = await serve();
  const proxy = await startProxy(port);
  const { stream, datas } = follow(`${proxy.url}?channel=n`, { fallback: false });
  await isOpen(stream);
  const published: number[] = [];
  for (let n = 0; n < 300; n++) {
    published.push(n);
    await hub.publish({ channel: "n", data: n });
    if (n % 20 === 0) proxy.cut();
    if (n % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await until(() => datas.length >= 300);
  expect(datas).toEqual(published);
  expect(proxy.requests.length).toBeGreaterThan(5);
});

test("a gap is told, and a snapshot is taken anew behind it", async () => {
  const { hub, port } = await serve({ log: createMemoryLog({ retention: { events: 5 } }) });
  const proxy = await startProxy(port);
  let sum = 0;
  const publish = async (n: number) => {
    await hub.publish({ channel: "sum", data: n });
    sum += n;
  };
  for (let n = 0; n < 20; n++) await publish(n);
  // The state of the page: it must be the server's, whatever happens in between.
  let shown = Number.NaN;
  const gaps: unknown[] = [];
  let snapshots = 0;
  const { stream } = follow(`${proxy.url}?channel=sum`, {
    fallback: false,
    onGap: (gap) => void gaps.push(gap),
    snapshot: async () => {
      snapshots++;
      const taken = { position: hub.position(), data: sum };
      await new Promise((resolve) => setTimeout(resolve, 5));
      return taken;
    },
  });
  stream.on("snapshot", ({ data }) => {
    shown = data as number;
  });
  stream.on("message", ({ data }) => {
    shown += data as number;
  });
  await publish(100);
  await until(() => shown === sum);
  expect(snapshots).toBe(1);
  proxy.cut();
  await hub.publish(Array.from({ length: 20 }, () => ({ channel: "sum", data: 1000 })));
  sum += 20_000;
  await until(() => shown === sum);
  expect(gaps).toMatchObject([{ type: "gap", may: false, channels: ["sum"] }]);
  expect(snapshots).toBe(2);
  await publish(7);
  await until(() => shown === sum);
});

test("a snapshot that fails is tried again, and one without a position is said to be wrong", async () => {
  const { hub, url } = await serve();
  const answers = [
    () => {
      throw new Error("the database is away");
    },
    () => ({ data: 1 }) as never,
    () => ({ position: hub.position(), data: 2 }),
  ];
  const { stream } = follow(url, { snapshot: () => (answers.shift() as (typeof answers)[0])() });
  const errors: string[] = [];
  stream.on("error", ({ error }) => void errors.push(error.message));
  await isOpen(stream);
  expect(errors).toEqual([
    expect.stringContaining("the database is away"),
    expect.stringContaining("{ position, data }"),
  ]);
});

test("channels are added to the open stream and dropped from it, and so they are asked for at a reconnection", async () => {
  const { hub, port } = await serve();
  const proxy = await startProxy(port);
  const { stream, datas, states } = follow(proxy.url, { channels: ["a"], fallback: false });
  await isOpen(stream);
  await stream.add("b", "c");
  await stream.drop("a");
  await hub.publish([
    { channel: "a", data: 1 },
    { channel: "b", data: 2 },
  ]);
  await until(() => datas.length === 1);
  expect(states).toEqual(["connecting", "open"]);
  expect(stream.channels).toEqual(["b", "c"]);
  proxy.cut();
  await until(() => states.length > 2 && stream.state === "open");
  await hub.publish([
    { channel: "a", data: 3 },
    { channel: "c", data: 4 },
  ]);
  await until(() => datas.length === 2);
  expect(datas).toEqual([2, 4]);
  await expect(stream.add("no\nname")).rejects.toMatchObject({ code: "refused", status: 400 });
  expect(stream.channels).toEqual(["b", "c"]);
  expect(stream.state).toBe("open");
});

test("who names no channel reads what the server chooses, until one is added", async () => {
  const { hub, port } = await serve();
  const proxy = await startProxy(port);
  const { stream, datas } = follow(proxy.url, { fallback: false });
  await isOpen(stream);
  await hub.publish({ channel: "general", data: 1 });
  await until(() => datas.length === 1);
  await stream.add("x");
  expect(stream.channels).toEqual(["x"]);
  await hub.publish([
    { channel: "general", data: 2 },
    { channel: "x", data: 3 },
  ]);
  await until(() => datas.length === 2);
  expect(datas).toEqual([1, 3]);
});

test("with its last channel dropped it asks for nothing, until there is another", async () => {
  const { hub, port } = await serve();
  const proxy = await startProxy(port);
  const { stream, datas, states } = follow(`${proxy.url}?channel=a`, { fallback: false });
  await isOpen(stream);
  await stream.drop("a");
  proxy.cut();
  // At first for the time of the backoff, then until something is added.
  await until(() => states.filter((state) => state === "waiting").length === 2);
  await hub.publish([
    { channel: "a", data: 1 },
    { channel: "general", data: 2 },
  ]);
  await stream.add("b");
  await until(() => stream.state === "open");
  await hub.publish([
    { channel: "a", data: 3 },
    { channel: "b", data: 4 },
  ]);
  await until(() => datas.length > 0);
  expect(datas).toEqual([4]);
  expect(states.filter((state) => state === "connecting")).toHaveLength(2);
});

test("a selection that is too long for an address goes into a body", async () => {
  const { hub, url } = await serve();
  const channels = Array.from({ length: 500 }, (_, n) => `a-channel-with-a-name/${n}`);
  const { stream, datas } = follow(`${url}?rewind=all`, { channels });
  await hub.publish({ channel: channels[499] as string, data: 1 });
  await until(() => datas.length === 1);
  const [connection] = hub.connections();
  expect(connection?.channels).toHaveLength(500);
  stream.close();
});

test("behind a proxy that holds streams back it polls with the same cursor, and streams again later", async () => {
  const { hub, port } = await serve();
  const proxy = await startProxy(port);
  proxy.hold();
  const { stream, datas, states } = follow(`${proxy.url}?channel=n`, {
    fallback: { firstByteMs: 100, streamAgainMs: 700 },
  });
  await until(() => stream.state === "polling" && stream.lastEventId !== "");
  for (let n = 0; n < 10; n++) {
    await hub.publish({ channel: "n", data: n });
    if (n === 5) await until(() => datas.length === 6);
  }
  await until(() => datas.length === 10);
  proxy.resume();
  for (let n = 10; stream.state !== "open"; n++) {
    await hub.publish({ channel: "n", data: n });
    await until(() => datas.length === n + 1);
  }
  expect(datas).toEqual(datas.map((_, n) => n));
  expect(states.slice(0, 2)).toEqual(["connecting", "waiting"]);
});

test("streams that are cut again and again are given up for polls", async () => {
  const { hub, port } = await serve();
  const proxy = await startProxy(port);
  proxy.cutAfter(100); // the opening block passes
  const { stream, datas } = follow(`${proxy.url}?channel=n`);
  await until(() => stream.lastEventId !== "");
  for (let n = 0; stream.state !== "polling"; n++) {
    await hub.publish({ channel: "n", data: n });
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  proxy.resume();
  await hub.publish({ channel: "n", data: -1 });
  await until(() => datas.at(-1) === -1);
  expect(datas.slice(0, -1)).toEqual(datas.slice(0, -1).map((_, n) => n));
});

test("streams that fall silent one after the other are given up for polls, which go on while the hub is away", async () => {
  const { hub, port } = await serve();
  const proxy = await startProxy(port);
  const { stream, datas, states } = follow(`${proxy.url}?channel=n`);
  // It lets the beginning of each stream through, and nothing of what follows.
  stream.on("comment", () => proxy.stall());
  stream.on("state", ({ state }) => state === "waiting" && proxy.resume());
  await until(() => stream.state === "polling");
  expect(states.filter((state) => state === "open")).toHaveLength(2);
  await hub.publish({ channel: "n", data: 1 });
  await until(() => datas.length === 1);
  const away = proxy.requests.length;
  proxy.script("/events", [{ status: 502 }, { status: 502 }]);
  proxy.cut();
  await until(() => proxy.requests.length > away + 2);
  await hub.publish({ channel: "n", data: 2 });
  await until(() => datas.length === 2);
  expect(states.filter((state) => state === "open")).toHaveLength(2);
});

test("a run that ends ends the connection in order", async () => {
  const { hub, url } = await serve();
  await hub.run("answers/1", async (run) => {
    for (const data of ["a", "b"]) await run.send({ data });
  });
  const { stream, datas } = follow(`${url}?channel=answers/1&rewind=all`, { parse: "text" });
  await until(() => stream.state === "closed");
  expect(datas).toEqual(["a", "b", '{"status":"done"}']);
  expect(stream.status).toMatchObject({ error: undefined, reason: "ended" });
});
