import { expect, onTestFinished, test } from "vitest";
import { connect, EventSource } from "../../src/client/index.js";
import { createMemoryLog, type MillraceOptions } from "../../src/index.js";
import { collect, createFakeHub, until } from "../../src/testing/index.js";

interface Events {
  price: { value: number };
  message: number;
  long: string;
}

function start(options: MillraceOptions = {}) {
  const hub = createFakeHub<Events>(options);
  onTestFinished(() => hub.close());
  return hub;
}

const url = "http://hub.test/events?channel=n";

function follow(hub: Pick<ReturnType<typeof start>, "fetch">) {
  const stream = connect<Events>(url, { fetch: hub.fetch, backoff: { baseMs: 5, maxMs: 20 } });
  onTestFinished(() => stream.close());
  const datas: unknown[] = [];
  const states: string[] = [];
  stream.on("*", ({ data }) => void datas.push(data));
  stream.on("state", ({ state }) => void states.push(state));
  return { stream, datas, states, opened: () => until(() => stream.state === "open" && stream.lastEventId !== "") };
}

test("is a hub for connect: events, channels, connections", async () => {
  const hub = start();
  const { stream, datas, opened } = follow(hub);
  await opened();
  await hub.publish({ channel: "n", event: "price", data: { value: 1 } });
  await until(() => datas.length === 1);
  expect([...hub.connections()].map(({ channels }) => channels)).toEqual([["n"]]);
  await stream.add("other");
  await hub.publish({ channel: "other", data: 2 });
  await until(() => datas.length === 2);
  expect(datas).toEqual([{ value: 1 }, 2]);
  stream.close();
  expect([...hub.connections()]).toHaveLength(0);
});

test("is a hub for EventSource, and for fetch", async () => {
  const hub = start();
  const source = new EventSource(`${url}&rewind=all`, { fetch: hub.fetch });
  onTestFinished(() => source.close());
  await hub.publish([
    { channel: "n", data: 1 },
    { channel: "n", data: 2 },
  ]);
  expect((await collect(source, 2)).map(({ data }) => data)).toEqual(["1", "2"]);
  const published = await hub.fetch(
    new Request("http://x/publish", { method: "POST", ...json({ channel: "n", data: 3 }) }),
  );
  expect(published.status).toBe(200);
  const response = await hub.fetch(new URL(`${url}&rewind=all`), { headers: { Accept: "text/event-stream" } });
  expect(response.url).toBe(`${url}&rewind=all`);
  expect((await collect(response, 3)).map(({ data }) => data)).toEqual(["1", "2", "3"]);
  expect((await hub.fetch("/nothing")).status).toBe(404);
  const page = { headers: { Origin: "http://localhost:5173" } };
  expect((await hub.fetch("/health", page)).headers.get("access-control-allow-origin")).toBe("http://localhost:5173");
  await until(() => [...hub.connections()].length === 1);
});

const json = (body: unknown) => ({ body: JSON.stringify(body), headers: { "content-type": "application/json" } });

test("cut streams come back with their cursor: nothing lost, nothing twice", async () => {
  const hub = start();
  const { datas, states, opened } = follow(hub);
  await opened();
  for (let n = 0; n < 50; n++) {
    await hub.publish({ channel: "n", data: n });
    if (n % 10 === 0) hub.cut();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await until(() => datas.length >= 50);
  expect(datas).toEqual(datas.map((_, n) => n));
  expect(states.filter((state) => state === "open").length).toBeGreaterThan(2);
});

test("a cut stream fails as one of Node's, on both sides", async () => {
  const hub = start();
  const { body } = await hub.fetch(url);
  expect([...hub.connections()]).toHaveLength(1);
  hub.cut();
  expect([...hub.connections()]).toHaveLength(0);
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  await expect(reader.read()).rejects.toThrow(new TypeError("terminated"));
});

test("goes down and comes back, with what was published meanwhile", async () => {
  const hub = start();
  const { stream, datas, opened } = follow(hub);
  await opened();
  await hub.goDown();
  await expect(hub.fetch(url)).rejects.toMatchObject({ message: "fetch failed", cause: { code: "ECONNREFUSED" } });
  await until(() => stream.state === "waiting");
  await hub.publish({ channel: "n", data: 1 });
  await hub.goDown({ status: 503, headers: { "Retry-After": "0" } });
  await until(() => stream.status.error?.status === 503);
  expect(datas).toEqual([]);
  await hub.comeBack();
  await until(() => datas.length === 1);
});

test("signals are honoured: before, while a poll waits, and in a stream", async () => {
  const hub = start();
  await expect(hub.fetch(url, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
  const polling = new AbortController();
  const poll = hub.fetch(`${url}&mode=poll&lastEventId=${hub.position()}`, { signal: polling.signal });
  await until(() => [...hub.connections()].length === 1);
  polling.abort();
  await expect(poll).rejects.toMatchObject({ name: "AbortError" });
  await until(() => [...hub.connections()].length === 0);
  const streaming = new AbortController();
  const reader = (await hub.fetch(url, { signal: streaming.signal })).body?.getReader();
  await reader?.read();
  streaming.abort(new Error("the test's own"));
  await expect(reader?.read()).rejects.toThrow("the test's own");
  expect([...hub.connections()]).toHaveLength(0);
});

test("a reader that leaves is seen, and one that does not read lags behind", async () => {
  const hub = start();
  const { body } = await hub.fetch(url);
  for (let n = 0; n < 100; n++) await hub.publish({ channel: "n", event: "long", data: "x".repeat(10_000) });
  await until(() => hub.stats().lags > 0);
  expect(hub.stats().deliveries).toBeLessThan(50);
  await body?.cancel();
  expect([...hub.connections()]).toHaveLength(0);
});

test("options are those of a hub: what is lost is told", async () => {
  const hub = start({ log: createMemoryLog({ retention: { events: 3 } }) });
  const { stream, datas, opened } = follow(hub);
  const gaps: unknown[] = [];
  stream.on("gap", ({ channels }) => void gaps.push(channels));
  await opened();
  await hub.goDown();
  for (let n = 0; n < 10; n++) await hub.publish({ channel: "n", data: n });
  await hub.comeBack();
  await until(() => datas.length === 3);
  expect([gaps, datas]).toEqual([[["n"]], [7, 8, 9]]);
});

test("who may read is asked as ever", async () => {
  const hub = start({ authorize: (request) => (request.header("authorization") ? { user: "ann" } : { refuse: 401 }) });
  expect((await hub.fetch(url)).status).toBe(401);
  const response = await hub.fetch(url, { headers: { Authorization: "Bearer x" } });
  await hub.sendToUser("ann", { data: 1 });
  expect(await collect(response, 1)).toMatchObject([{ data: "1" }]);
});

test("listens on a port, which goes down and comes back with it", async () => {
  const hub = start();
  const origin = await hub.listen();
  await expect(hub.listen()).rejects.toThrow(`the hub listens already, at ${origin}`);
  const stream = connect(`${origin}/events?channel=n`, { backoff: { baseMs: 5, maxMs: 20 } });
  onTestFinished(() => stream.close());
  const datas: unknown[] = [];
  stream.on("*", ({ data }) => void datas.push(data));
  await until(() => stream.state === "open" && stream.lastEventId !== "");
  hub.cut();
  await hub.publish({ channel: "n", data: 1 });
  await until(() => datas.length === 1);
  await hub.goDown();
  await expect(fetch(origin)).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  await hub.goDown({ status: 429 });
  await until(() => stream.status.error?.status === 429);
  await hub.comeBack();
  await until(() => stream.state === "open");
  await hub.goDown({ headers: { "Retry-After": "0" } });
  await until(() => stream.status.error?.status === 503);
  await hub.publish({ channel: "n", data: 2 });
  await hub.comeBack();
  await until(() => datas.length === 2);
  expect(datas).toEqual([1, 2]);
});

test("closing ends its streams, and may be done twice", async () => {
  const hub = createFakeHub();
  await hub.listen();
  const { stream, opened } = follow(hub);
  await opened();
  await hub.close();
  await hub[Symbol.asyncDispose]();
  await until(() => stream.state === "waiting");
  await expect(hub.fetch(url)).rejects.toThrow("fetch failed");
});

test("mistakes are said at once", async () => {
  const hub = start();
  await expect(hub.goDown({ status: 42 })).rejects.toThrow("status");
  await expect(hub.goDown({ code: 503 } as never)).rejects.toThrow('goDown has no option "code"');
  await expect(hub.listen(-1)).rejects.toThrow("port");
  expect((await hub.fetch("http://hub.test/health")).status).toBe(200);
});
