/** What React and Vue stand on, against a real hub: what is asked for, and what is not. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { ConnectFetch, ReceivedEvent } from "../../src/client/index.js";
import { type Authorize, createHub } from "../../src/index.js";
import { type ConnectionOptions, Link, Recent } from "../../src/screen/index.js";
import { until } from "../hub/until.js";

const forbidsSecrets: Authorize = (_, { channels }): ReturnType<Authorize> => {
  if (channels.some((name) => name.startsWith("secret"))) return { refuse: 403, reason: "not for you" };
  return {};
};

async function serve() {
  const hub = createHub({ authorize: forbidsSecrets, heartbeatMs: 50, retryMs: 0 });
  const server = http.createServer(hub.listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await hub.close({ drainMs: 0 });
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
  /** What each connection reads at the hub. */
  const reads = () => [...hub.connections()].map(({ channels }) => [...channels].sort());
  const cut = () => server.closeAllConnections();
  return { hub, url, reads, cut };
}

/** A link whose requests are noted. */
function hold(state: "connecting" | "closed" = "connecting") {
  const link = new Link(state);
  const requests: string[] = [];
  const noting: ConnectFetch = (url, init) => {
    const { pathname, search } = new URL(String(url));
    requests.push(
      `${init.method} ${pathname.replace(/connections\/[^/]+/, "connections/ID")}${search} ${init.body ?? ""}`.trim(),
    );
    return fetch(url, init) as ReturnType<ConnectFetch>;
  };
  const open = (url: string, options: ConnectionOptions = {}) => {
    const close = link.open(url, options.key, () => ({ fetch: noting, backoff: { baseMs: 5, maxMs: 20 }, ...options }));
    onTestFinished(close);
    return close;
  };
  const isOpen = () => until(() => link.shown.value().status.state === "open" && position() !== "");
  const position = () => link.shown.value().subscription?.lastEventId ?? "";
  return { link, requests, open, isOpen, state: () => link.shown.value().status.state };
}

const nobody = (refusal: Error | undefined) => expect.fail(`refused: ${refusal?.message}`);

test("opened, closed and opened in one task it asks once, with all that is used by then, in whatever order", async () => {
  const { hub, url, reads } = await serve();
  const { link, requests, open, isOpen } = hold();
  const heard: unknown[] = [];
  const states: unknown[] = [];
  link.on("*", ({ data }: ReceivedEvent) => heard.push(data));
  link.on("state", ({ state }: { state: string }) => states.push(state));
  link.channels.use("before", nobody);
  open(url)();
  open(`${url}?channel=own`);
  link.channels.use("after", nobody);
  await isOpen();
  expect(requests).toEqual(["GET /events?channel=own&channel=before&channel=after"]);
  expect(reads()).toEqual([["after", "before", "own"]]);
  expect(new Set(states)).toEqual(new Set(["connecting", "open"]));
  await hub.publish(["before", "other", "after", "own"].map((channel, data) => ({ channel, data })));
  await until(() => heard.length === 3);
  expect(heard).toEqual([0, 2, 3]);
});

test("what is used after the opening, in the same task, is in the first request, too", async () => {
  const { url } = await serve();
  const { link, requests, open, isOpen } = hold();
  open(url);
  link.channels.use("a", nobody);
  await isOpen();
  expect(requests).toEqual(["GET /events?channel=a"]);
});

test("a channel comes with its first user and goes after the last, on the open stream", async () => {
  const { url, reads } = await serve();
  const { link, requests, open, isOpen } = hold();
  open(`${url}?channel=own`);
  await isOpen();
  requests.length = 0;
  // As StrictMode does: no change.
  link.channels.use("a", nobody)();
  const first = link.channels.use("a", nobody);
  const second = link.channels.use("a", nobody);
  const own = link.channels.use("own", nobody);
  await until(() => reads()[0]?.join() === "a,own");
  first();
  own();
  const other = link.channels.use("b", nobody);
  await until(() => reads()[0]?.join() === "a,b,own");
  second();
  second();
  await until(() => reads()[0]?.join() === "b,own");
  other();
  await until(() => reads()[0]?.join() === "own");
  expect(requests).toEqual([
    'POST /connections/ID/channels {"add":["a"],"drop":[]}',
    'POST /connections/ID/channels {"add":["b"],"drop":[]}',
    'POST /connections/ID/channels {"add":[],"drop":["a"]}',
    'POST /connections/ID/channels {"add":[],"drop":["b"]}',
  ]);
});

test("the last channel stays until there is another: a stream of none would be one of `general`", async () => {
  const { url, reads } = await serve();
  const { link, requests, open, isOpen } = hold();
  open(url);
  const leave = link.channels.use("a", nobody);
  await isOpen();
  leave();
  await new Promise((resolve) => setImmediate(resolve));
  link.channels.use("b", nobody);
  await until(() => reads()[0]?.join() === "b");
  expect(requests).toEqual([
    "GET /events?channel=a",
    'POST /connections/ID/channels {"add":["b"],"drop":[]}',
    'POST /connections/ID/channels {"add":[],"drop":["a"]}',
  ]);
});

test("a pattern stays while a channel that it covers is used", async () => {
  const { hub, url, reads } = await serve();
  const { link, open, isOpen } = hold();
  const heard: unknown[] = [];
  link.on("*", ({ data }: ReceivedEvent) => heard.push(data));
  open(`${url}?channel=own`);
  await isOpen();
  const wide = link.channels.use("a/*", nobody);
  const narrow = link.channels.use("a/b", nobody);
  await until(() => reads()[0]?.join() === "a/*,own");
  wide();
  const other = link.channels.use("c", nobody);
  await until(() => reads()[0]?.join() === "a/*,c,own");
  other();
  await until(() => reads()[0]?.join() === "a/*,own");
  await hub.publish({ channel: "a/b", data: 1 });
  await until(() => heard.length === 1);
  narrow();
  await until(() => reads()[0]?.join() === "own");
});

test("a channel that is refused is told to its users, and to no others", async () => {
  const { url, reads } = await serve();
  const { link, open, isOpen } = hold();
  open(`${url}?channel=own`);
  await isOpen();
  const refused: (string | undefined)[] = [];
  link.channels.use("a", nobody);
  const leave = link.channels.use("secret", (refusal) => refused.push(refusal?.message));
  await until(() => refused.length === 1 && reads()[0]?.join() === "a,own");
  expect(refused[0]).toContain("not for you");
  link.channels.use("secret", (refusal) => refused.push(refusal?.message))();
  expect(refused).toHaveLength(2);
  // After all have gone it is asked for anew.
  leave();
  link.channels.use("secret", (refusal) => refused.push(refusal?.message));
  await until(() => refused.length === 3);
});

test("with the same URL and key it goes on where it was; with another key it begins", async () => {
  const { hub, url } = await serve();
  const { link, requests, open, isOpen } = hold();
  const heard: unknown[] = [];
  link.on("message", ({ data }: ReceivedEvent) => heard.push(data));
  const target = `${url}?channel=a`;
  const close = open(target, { key: "ann" });
  await isOpen();
  close();
  await until(() => [...hub.connections()].length === 0);
  await hub.publish({ channel: "a", data: 1 });
  const again = open(target, { key: "ann" });
  await until(() => heard.length === 1);
  again();
  await hub.publish({ channel: "a", data: 2 });
  open(target, { key: "bob" });
  await isOpen();
  await hub.publish({ channel: "a", data: 3 });
  await until(() => heard.length === 2);
  expect(heard).toEqual([1, 3]);
  expect(requests).toHaveLength(3);
});

test("what closes it by itself is heard; that it is closed by its screen is only shown", async () => {
  const { url } = await serve();
  const { link, open, isOpen, state } = hold();
  const heard: string[] = [];
  link.on("close", () => heard.push("close"));
  const close = open(`${url}?channel=a`);
  await isOpen();
  close();
  expect(state()).toBe("closed");
  expect(heard).toEqual([]);
  open(`${url}?channel=secret`);
  await until(() => state() === "closed");
  expect(heard).toEqual(["close"]);
  expect(link.shown.value().status.error?.status).toBe(403);
});

test("what was closed for good is opened anew by reconnect, behind what it had, with the headers of now", async () => {
  const { hub, url, cut } = await serve();
  const { link, open, isOpen, state } = hold();
  const heard: unknown[] = [];
  const tokens: (string | undefined)[] = [];
  link.on("message", ({ data }: ReceivedEvent) => heard.push(data));
  const noting: ConnectFetch = (to, init) => {
    tokens.push(init.headers.Authorization);
    return fetch(to, init) as ReturnType<ConnectFetch>;
  };
  const options: { headers: Record<string, string>; fetch: ConnectFetch } = {
    headers: { Authorization: "Bearer 1" },
    fetch: noting,
  };
  const close = link.open(`${url}?channel=a`, undefined, () => ({ ...options, backoff: { baseMs: 5 } }));
  onTestFinished(close);
  await isOpen();
  options.headers = { Authorization: "Bearer 2" };
  cut();
  await until(() => tokens.length === 2 && state() === "open");
  for (const { id } of hub.connections()) hub.disconnect(id, { reconnect: false });
  await until(() => state() === "closed");
  await hub.publish({ channel: "a", data: 1 });
  options.headers = { Authorization: "Bearer 3" };
  link.reconnect();
  await until(() => heard.length === 1);
  expect(tokens).toEqual(["Bearer 1", "Bearer 2", "Bearer 3"]);
  close();
  link.reconnect();
  expect(state()).toBe("closed");
  expect(() => open("http://")).toThrow(/URL/);
  const wrong = hold();
  expect(() => wrong.open("http://")).toThrow(/URL/);
  expect(wrong.state()).toBe("closed");
});

test("the last events of a channel: in order, over cuts, in one change for a burst", async () => {
  const { hub, url, cut } = await serve();
  const { link, open, isOpen } = hold();
  const recent = new Recent();
  recent.keep(5);
  const end = recent.follow({ link, channel: "a/*", type: "n" });
  open(`${url}?channel=other`);
  await isOpen();
  let changes = 0;
  recent.shown.watch(() => changes++);
  const datas = () => recent.shown.value().events.map(({ data }) => data);
  const batch = Array.from({ length: 200 }, (_, n) => ({ channel: "a/b", event: "n", data: n }));
  await hub.publish([{ channel: "other", event: "n", data: -1 }, { channel: "a/b", event: "m", data: -2 }, ...batch]);
  await until(() => datas().at(-1) === 199);
  expect(datas()).toEqual([195, 196, 197, 198, 199]);
  expect(changes).toBeLessThan(20);
  cut();
  await hub.publish({ channel: "a/c", event: "n", data: 200 });
  await until(() => datas().at(-1) === 200);
  recent.keep(2);
  expect(datas()).toEqual([199, 200]);
  end();
  recent.follow({ link, channel: "a/*", type: undefined });
  expect(datas()).toEqual([]);
  expect(() => recent.keep(0)).toThrow(/keep/);
  expect(() => recent.follow({ link, channel: "@user/ann", type: undefined })).toThrow(/@user/);
});
