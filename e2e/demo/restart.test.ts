/** The restart that the demo's pages ask for, and what must not reach it. */
import net from "node:net";
import { describe, expect, test } from "vitest";
import { type HubProcess, startHub } from "../support/hub.js";
import { pause, until } from "../support/until.js";

const json = { "content-type": "application/json" };

/** Asks by hand: `fetch` sets headers such as `Host` itself. */
function ask(
  { url }: HubProcess,
  path = "/demo/restart",
  headers: Record<string, string> = json,
  method = "POST",
): Promise<number> {
  const { hostname, port, host } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), hostname);
    const fields = Object.entries({ host, "content-length": "2", connection: "close", ...headers });
    socket.write(
      `${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n{}`,
    );
    let answer = "";
    socket.setEncoding("latin1").on("data", (text) => {
      answer += text;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])));
  });
}

const restarts = (hub: HubProcess) => hub.stderr().match(/restarting/g)?.length ?? 0;
const isUp = (hub: HubProcess) =>
  fetch(`${hub.url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );

test("two that ask at once restart it once, on the same port and store", async () => {
  await using hub = await startHub(["demo"]);
  const publish = (data: string) =>
    fetch(`${hub.url}/publish`, { method: "POST", headers: json, body: JSON.stringify({ channel: "kept", data }) });
  await publish("before");
  expect(await Promise.all([ask(hub), ask(hub)])).toEqual([202, 202]);
  await until("away", async () => !(await isUp(hub)), 3_000);
  await until("back", () => isUp(hub), 8_000);
  await publish("after");
  const kept = await (await fetch(`${hub.url}/events?mode=poll&rewind=all&channel=kept`)).text();
  expect(kept.match(/^data: .*$/gm)).toEqual(["data: before", "data: after"]);
  expect(restarts(hub)).toBe(1);
  expect(hub.stdout().match(/listens on/g)).toHaveLength(1);
});

test("nobody from outside, no proxy and no other page reaches it", async () => {
  await using hub = await startHub(["demo"]);
  const { host } = new URL(hub.url);
  const refused: [status: number, headers: Record<string, string>, method?: string][] = [
    [403, { ...json, origin: "http://elsewhere.example" }],
    [403, { ...json, origin: "http://127.0.0.1:1" }],
    [403, { ...json, origin: "null" }],
    [403, { ...json, "sec-fetch-site": "cross-site" }],
    [403, { ...json, "sec-fetch-site": "same-site", origin: hub.url }],
    [403, { ...json, host: "rebound.example", origin: "http://rebound.example" }],
    [403, { ...json, "x-forwarded-for": "127.0.0.1" }],
    [403, { ...json, forwarded: "for=127.0.0.1" }],
    [403, { ...json, via: "1.1 proxy" }],
    [415, {}],
    [415, { "content-type": "text/plain" }],
    [405, json, "GET"],
    [405, json, "DELETE"],
  ];
  for (const [status, headers, method] of refused) {
    expect([await ask(hub, "/demo/restart", { host, ...headers }, method), headers]).toEqual([status, headers]);
  }
  await pause(300);
  expect(restarts(hub)).toBe(0);
  expect(await ask(hub, "/demo/restart", { ...json, origin: hub.url, "sec-fetch-site": "same-origin" })).toBe(202);
});

test.each([
  ["off loopback", ["demo", "--host", "0.0.0.0", "--allow-anonymous"], 403],
  ["where publishing needs the key", ["demo", "--api-key", "secret"], 401],
  ["without the demo", ["serve"], 404],
])("not %s", async (_, args, status) => {
  await using hub = await startHub(args);
  expect(await ask(hub)).toBe(status);
  await pause(300);
  expect(await isUp(hub)).toBe(true);
});

test("SIGTERM while it is away ends it at once, and cleanly", async () => {
  await using hub = await startHub(["demo"]);
  await ask(hub);
  await until("away", async () => !(await isUp(hub)), 3_000);
  hub.kill();
  const startMs = performance.now();
  expect(await hub.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - startMs).toBeLessThan(1_500);
  expect(hub.stderr()).toMatch(/SIGTERM: stopping\n.*stopped\n$/);
});

describe("its port is taken while it is away", () => {
  async function take(hub: HubProcess): Promise<net.Server> {
    await ask(hub);
    await until("away", async () => !(await isUp(hub)), 3_000);
    const { hostname, port } = new URL(hub.url);
    const other = net.createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => other.listen(Number(port), hostname, resolve));
    return other;
  }

  test("and given back: it starts all the same", async () => {
    await using hub = await startHub(["demo"]);
    const other = await take(hub);
    await pause(2_600);
    await new Promise((resolve) => other.close(resolve));
    await until("back", () => isUp(hub), 5_000);
  });

  test("for good: it ends, and says why in one line", async () => {
    await using hub = await startHub(["demo"]);
    const other = await take(hub);
    const before = hub.stderr().length;
    expect(await hub.exited).toEqual({ code: 1, signal: null });
    other.close();
    expect(hub.stderr().slice(before)).toMatch(/^millrace-hub: port \d+ on 127\.0\.0\.1 is taken[^\n]*\n$/);
  });
});

test("the client is served from its folders, and nothing else is", async () => {
  await using hub = await startHub(["demo"]);
  const get = (path: string) => ask(hub, path, {}, "GET");
  expect(await get("/millrace/client/index.js")).toBe(200);
  expect(await get("/millrace/protocol/index.js")).toBe(200);
  for (const path of [
    "/millrace/client/",
    "/millrace/index.js",
    "/millrace/hub/hub.js",
    "/millrace/client/index.d.ts",
    "/millrace/client/../index.js",
    "/millrace/client/../hub/hub.js",
    "/millrace/client/..%2fhub%2fhub.js",
    "/millrace/client/%2e%2e/hub/hub.js",
    "/millrace/client/..%5chub%5chub.js",
    "/millrace/client/../../package.json",
    "/millrace/client//etc/passwd",
    "/pages/app.js",
    "/index.html",
  ]) {
    expect([path, await get(path)]).toEqual([path, 404]);
  }
});
