import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { createHub, type MillraceOptions, type Select } from "../../src/index.js";
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
    void route(request, response);
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
  return { hub, get, read };
}

describe("a route of the application's own", () => {
  test.each<[string, Awaited<ReturnType<Select<Guarded>>>]>([
    ["a channel", "news"],
    ["several", ["news", "chat/*"]],
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
      wild: "a\nb",
    };
    const select = ({ headers }: Guarded) => answers[headers["x-case"] as string] as string;
    const { get } = await serve(select, { onError: (error) => errors.push(error) });
    const status = async (what: string) => (await get("", { "x-case": what })).status;
    expect([await status("none"), await status("bad"), await status("late")]).toEqual([401, 403, 401]);
    expect(await status("wild")).toBe(400);
    expect(errors).toEqual([]);
    expect([await status("nothing"), await status("empty"), await status("odd")]).toEqual([500, 500, 500]);
    expect(errors).toHaveLength(3);
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
