import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Answer,
  type Connection,
  createHub,
  type Following,
  MillraceError,
  type MillraceOptions,
  type Select,
} from "../../src/index.js";
import { EventReader } from "./support/events.js";

interface Guarded extends http.IncomingMessage {
  user?: { id: string; roles: string[] };
}

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(ending.splice(0).map((end) => end()));
});

/** A server whose middleware sets `request.user`, as applications do, in front of the hub's stream. */
async function serve(select: Select<Guarded>, options: MillraceOptions = {}) {
  const hub = createHub(options);
  const route = hub.stream(select);
  const server = http.createServer((request: Guarded, response) => {
    const { authorization } = request.headers;
    if (authorization) request.user = { id: authorization, roles: ["reader"] };
    if (request.url?.startsWith("/connections/")) hub.listener(request, response);
    else void route(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const controller = new AbortController();
  ending.push(async () => {
    controller.abort();
    await hub.close({ drainMs: 100 });
    server.close();
  });
  const get = (path = "", headers: Record<string, string> = {}, method = "GET") =>
    fetch(`http://127.0.0.1:${port}/feed${path}`, { headers, method, signal: controller.signal });
  const read = async (path = "", headers = {}) => {
    const response = await get(path, headers);
    expect(response.status).toBe(200);
    return new EventReader(response.body as ReadableStream<Uint8Array>);
  };
  return { hub, get, read, url: `http://127.0.0.1:${port}` };
}

describe("a route of the application's own", () => {
  test.each<[string, Awaited<ReturnType<Select<Guarded>>>]>([
    ["a channel", "news"],
    ["several", ["news", "chat"]],
    ["all that there is to say", { channels: ["news"], rewind: "all" }],
  ])("follows %s", async (_what, selected) => {
    const { hub, read } = await serve(() => selected);
    const reader = await read("?token=x&rewind=0");
    await hub.publish({ channel: "other", data: 0 });
    const id = await hub.publish({ channel: "news", data: { n: 1 } });
    expect(await reader.next()).toMatchObject({ lastEventId: id, data: '{"n":1}', channel: "news" });
  });

  test("the identity is the one that the application's middleware found: users and roles are reached", async () => {
    const { hub, read } = await serve(({ user }) => ({
      channels: "news",
      user: user?.id ?? "nobody",
      roles: user?.roles ?? [],
    }));
    const reader = await read("", { authorization: "ann" });
    await hub.publish({ channel: "@user/bob", data: "not for ann" });
    await hub.publish([
      { channel: "@user/ann", data: 1 },
      { channel: "@role/reader", data: 2 },
      { channel: "news", data: 3 },
    ]);
    expect(await reader.data(3)).toEqual(["1", "2", "3"]);
    expect([...hub.connectionsOf("ann")]).toHaveLength(1);
  });

  test("refusals are answered, mistakes of the application told to it alone", async () => {
    const errors: unknown[] = [];
    const answers: Record<string, unknown> = {
      none: { refuse: 401 },
      bad: { refuse: 403, reason: "not for you" },
      late: { channels: "news", expiresAtMs: 1 },
      nothing: undefined,
      empty: {},
      odd: { channels: "news", user: 5 },
      number: { channels: 5 },
      list: ["news", 5],
      far: { channels: "news", rewind: -1 },
      text: { channels: "news", rewind: "1" },
      form: { channels: "news", form: "xml" },
      change: { channels: "news", change: "yes" },
      refusal: { refuse: 402 },
      gone: { refuse: 404, reason: "no such job" },
      wild: "a\nb",
    };
    const select = ({ headers }: Guarded) => answers[headers["x-case"] as string] as string;
    const { get } = await serve(select, { onError: (error) => errors.push(error) });
    const status = async (what: string) => (await get("", { "x-case": what })).status;
    expect([await status("none"), await status("bad"), await status("late")]).toEqual([401, 403, 401]);
    expect(await status("wild")).toBe(400);
    const gone = await get("", { "x-case": "gone" });
    expect(await gone.json()).toMatchObject({ status: 404, code: "not_found", detail: "no such job" });
    expect(errors).toEqual([]);
    const mistakes = ["nothing", "empty", "odd", "number", "list", "far", "text", "form", "change", "refusal"];
    for (const what of mistakes) expect(await status(what), what).toBe(500);
    expect(errors).toHaveLength(mistakes.length);
    for (const error of errors) {
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toMatch(/^select answered /);
    }
  });

  test("what select throws is the application's own, a MillraceError too", async () => {
    const errors: unknown[] = [];
    const error = new MillraceError("invalid_event", "the password is 12345");
    const { get } = await serve(() => Promise.reject(error), { onError: (told) => errors.push(told) });
    const answer = await get();
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("12345");
    expect(errors).toEqual([error]);
  });

  test.each(["*", "jobs/*", "*/x"])("a parameter %j never becomes a wildcard", async (id) => {
    for (const selected of [`answers/${id}`, ["news", id], { channels: `answers/${id}` }, { prefixes: `a/${id}/` }]) {
      const { hub, get } = await serve(() => selected);
      const answer = await get();
      expect(await answer.json()).toMatchObject({ status: 400, code: "invalid_channel" });
      expect(hub.stats().connections).toBe(0);
    }
  });

  test("prefixes are asked for as such, and end with a slash", async () => {
    const { hub, get, read } = await serve(({ headers }) => ({
      prefixes: headers["x-all"] === undefined ? ["chat/", "news/"] : "",
    }));
    const [some, all] = [await read(), await read("", { "x-all": "1" })];
    await hub.publish(["other", "general", "chat/1", "@user/ann", "news/2"].map((data) => ({ channel: data, data })));
    expect(await some.data(2)).toEqual(["chat/1", "news/2"]);
    expect(await all.data(4)).toEqual(["other", "general", "chat/1", "news/2"]);
    for (const prefixes of ["chat", ["chat/", "x"], "@user/"]) {
      const { get } = await serve(() => ({ prefixes }));
      expect((await get()).status, String(prefixes)).toBe(400);
    }
    expect((await get("", {}, "HEAD")).status).toBe(200);
  });

  test.each<[string, Following]>([
    ["no channels", { channels: [], user: "ann" }],
    ["none named", { user: "ann" }],
    ["a role alone", { roles: ["reader"] }],
  ])("%s: only what comes to the user and the roles, and nothing of general", async (_what, selected) => {
    const { hub, get, read } = await serve(() => selected);
    const reader = await read();
    await hub.publish([
      { channel: "general", data: "not this" },
      { channel: "@user/ann", data: "hers" },
      { channel: "@role/reader", data: "hers" },
    ]);
    expect(await reader.data(1)).toEqual(["hers"]);
    expect([...hub.connections()].map(({ channels }) => channels)).toEqual([[]]);
    expect(await (await get("?mode=poll&rewind=all")).text()).not.toContain("not this");
  });

  test("the client changes nothing of what was selected, unless select lets it", async () => {
    const { hub, get, url } = await serve(({ headers }) => ({
      channels: "news",
      ...(headers["x-change"] === undefined ? {} : { change: true }),
    }));
    const change = async (headers: Record<string, string>) => {
      const id = (await get("", headers)).headers.get("millrace-connection");
      const body = JSON.stringify({ add: ["stocks"] });
      return fetch(`${url}/connections/${id}/channels`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
    };
    const refused = await change({});
    expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining("the application")]);
    expect(await (await change({ "x-change": "1" })).json()).toEqual({ channels: ["news", "stocks"] });
    const [first] = hub.connections();
    expect(hub.changeChannels(first as Connection, { add: ["chat"] }).channels).toEqual(["chat", "news"]);
  });

  test("the hub's hosts and its onAnswer are for this route too", async () => {
    const answers: Answer[] = [];
    const { get } = await serve(() => "news", {
      allowedHosts: ["hub.example"],
      onAnswer: (answer) => answers.push(answer),
    });
    expect((await get()).status).toBe(200);
    expect((await get("", {}, "DELETE")).status).toBe(405);
    const route = createHub({ allowedHosts: ["hub.example"] }).stream(() => "news");
    const status = async (host: string) => (await route(new Request(`http://${host}/feed`))).status;
    expect([await status("evil.example"), await status("hub.example")]).toEqual([403, 200]);
    expect(answers).toEqual([
      { method: "GET", route: "hub.stream", status: 200, durationMs: expect.any(Number) },
      { method: "DELETE", route: "hub.stream", status: 405, durationMs: expect.any(Number) },
    ]);
  });

  test("a client goes on from its cursor, polls, chooses its format, and is told not to come back", async () => {
    const { hub, get, read } = await serve(() => "news");
    const [first, second] = await hub.publish([1, 2].map((data) => ({ channel: "news", data })));
    const reader = await read("", { "last-event-id": first as string });
    expect((await reader.next()).lastEventId).toBe(second);
    const polled = await (await get(`?mode=poll&lastEventId=${first}`)).text();
    expect(polled).toContain(`id: ${second}`);
    const envelope = await (await read(`?format=envelope&lastEventId=${first}`)).next();
    expect(JSON.parse(envelope.data)).toMatchObject({ channel: "news", data: 2 });
    expect((await get("", { "last-event-id": "millrace.closed" })).status).toBe(204);
    expect((await get("", {}, "POST")).status).toBe(405);
    expect((await get("", {}, "HEAD")).headers.get("content-type")).toContain("text/event-stream");
    expect((await get("?rewind=x")).status).toBe(400);
  });

  test("the application's rewind wins over the client's, and its cursor over both", async () => {
    const { hub, read } = await serve(() => ({ channels: "news", rewind: "all" }));
    const ids = await hub.publish([1, 2, 3].map((data) => ({ channel: "news", data })));
    expect(await (await read("?rewind=1")).data(3)).toEqual(["1", "2", "3"]);
    expect(await (await read("", { "last-event-id": ids[1] as string })).data(1)).toEqual(["3"]);
  });

  test("is a Fetch route too", async () => {
    const hub = createHub();
    const route = hub.stream((request: Request) => new URL(request.url).pathname.slice(1));
    const response = await route(new Request("http://app.example/news"));
    const reader = new EventReader(response.body as ReadableStream<Uint8Array>);
    await hub.publish({ channel: "news", data: "it fits" });
    expect(await reader.data(1)).toEqual(["it fits"]);
    await hub.close({ drainMs: 100 });
  });
});

test("says how its clients are written to; what it leaves open they may ask for", async () => {
  const tick = (data: string) => ({ channel: "prices", key: "a", data });
  const following = async (more: object) => {
    const { hub, read } = await serve(() => ({ channels: "prices", rewind: "all", ...more }));
    await hub.publish([tick("1"), tick("2")]);
    return read;
  };
  const conflated = await following({ conflate: true });
  expect(await (await conflated()).data(1)).toEqual(["2"]);
  const seldom = await following({ everyMs: 3_600_000 });
  expect(await (await seldom()).data(1)).toEqual(["2"]);
  expect((await (await seldom("?mode=poll")).rest()).map(({ data }) => data)).toEqual(["2"]);
  const all = await following({ conflate: false });
  expect(await (await all("?every=1s")).data(2)).toEqual(["1", "2"]);
  const open = await following({});
  expect(await (await open("?conflate=1")).data(1)).toEqual(["2"]);
});

test.each([
  [{ conflate: 1 }, "conflate: 1: it is true or false"],
  [{ everyMs: 5 }, "everyMs: 5: it is a whole number from 10 to 3600000"],
  [{ everyMs: 100, conflate: false }, "everyMs: 100: it is a whole number from 10 to 3600000, and conflates"],
])("what it answers wrong about that is told, and to clients 500: %j", async (more, message) => {
  const errors: unknown[] = [];
  const { get } = await serve(() => ({ channels: "prices", ...(more as object) }), {
    onError: (error) => errors.push(error),
  });
  expect((await get()).status).toBe(500);
  expect(String(errors[0])).toContain(message);
});
