import { describe, expect, test } from "vitest";
import type { Authorize } from "../../src/index.js";
import { type Answer, type Client, forms, json, open, start } from "./support/index.js";

const pathOf = (stream: Answer) => `/connections/${stream.header("millrace-connection")}/channels`;
const change = (hub: Client, stream: Answer, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  hub.call(pathOf(stream), json(body, headers));

/** Who it is stands in a header; `secret` is for those who are called ann. */
const byHeader: Authorize = (request, { channels }) => {
  const user = request.header("x-user");
  if (user === "nobody") return { refuse: 401 };
  if (channels.includes("secret") && user !== "ann") return { refuse: 403 };
  return user === undefined ? {} : { user };
};

describe.each(forms)("POST /connections/ID/channels over $name", (form) => {
  test("adds and drops on the open stream, from the position that it answers", async () => {
    await using hub = await start(form);
    const stream = await open(hub, "/events?channel=a&channel=b");
    await hub.hub.publish([
      { channel: "a", data: "1" },
      { channel: "c/d", data: "not yet" },
    ]);
    expect(await stream.events.data(1)).toEqual(["1"]);
    const answer = await change(hub, stream, { add: ["c/*"], drop: ["a", "nothing"] });
    expect(answer.status).toBe(200);
    expect(answer.header("content-type")).toBe("application/json");
    expect(answer.header("millrace-position")).toBe(hub.hub.position());
    expect(JSON.parse(await answer.text())).toEqual({ channels: ["b", "c/*"] });
    await hub.hub.publish([
      { channel: "a", data: "no more" },
      { channel: "c/d", data: "2" },
      { channel: "b", data: "3" },
    ]);
    expect(await stream.events.data(2)).toEqual(["2", "3"]);
    const dropped = await change(hub, stream, { drop: ["b", "c/*"] });
    expect(JSON.parse(await dropped.text())).toEqual({ channels: [] });
    expect(JSON.parse(await (await change(hub, stream, {})).text())).toEqual({ channels: [] });
    await hub.hub.publish({ channel: "b", data: "no more" });
    await hub.hub.broadcast({ data: "4" });
    expect(await stream.events.data(1)).toEqual(["4"]);
  });

  test("what is wrong is said, and changes nothing", async () => {
    await using hub = await start(form, { limits: { channels: 1 }, allowedParameters: ["tenant"] });
    const stream = await open(hub, "/events?channel=a");
    const ten = Array.from({ length: 10 }, (_, n) => `n${n}`);
    const cases = [
      [{ add: "b" }, 400, "invalid_member"],
      [{ add: [1] }, 400, "invalid_member"],
      [{ drop: { 0: "a" } }, 400, "invalid_member"],
      [{ channels: ["b"] }, 400, "unknown_member"],
      [["b"], 400, "invalid_body"],
      [{ add: ["b\n"] }, 400, "invalid_channel"],
      [{ add: ["@user/ann"] }, 400, "invalid_channel"],
      [{ add: ["@all"] }, 400, "invalid_channel"],
      [{ drop: ["x*y"] }, 400, "invalid_channel"],
      [{ add: ["b"], drop: ["b"] }, 400, "invalid_channel"],
      [{ add: [...ten, "m"] }, 400, "too_many_channels"],
      [{ drop: [...ten, "m"] }, 400, "too_many_channels"],
      [{ add: ten }, 400, "too_many_channels"],
    ] as const;
    for (const [body, status, code] of cases) {
      const answer = await change(hub, stream, body);
      expect([body, answer.status, (await answer.problem()).code]).toEqual([body, status, code]);
    }
    const form415 = await hub.call(pathOf(stream), { method: "POST", body: '{"add":["b"]}' });
    expect((await form415.problem()).code).toBe("unsupported_media_type");
    expect((await (await hub.call(`${pathOf(stream)}?add=b`, json({}))).problem()).code).toBe("unknown_parameter");
    expect((await hub.call(pathOf(stream), { method: "GET" })).header("allow")).toBe("POST, OPTIONS");
    expect([...hub.hub.connections()][0]?.channels).toEqual(["a"]);
    // As many as it may have, where others leave.
    const full = await hub.call(`${pathOf(stream)}?tenant=t`, json({ add: ten, drop: ["a"] }));
    expect(full.status).toBe(200);
    expect(hub.errors).toEqual([]);
  });

  test("a connection that is not there is 404", async () => {
    await using hub = await start(form);
    for (const id of ["nobody", "__proto__", "%2F"]) {
      const answer = await hub.call(`/connections/${id}/channels`, json({ add: ["a"] }));
      expect([answer.status, (await answer.problem()).code]).toEqual([404, "connection_gone"]);
    }
    const stream = await open(hub, "/events");
    const [connection] = hub.hub.connections();
    if (connection) hub.hub.disconnect(connection);
    expect((await change(hub, stream, { add: ["a"] })).status).toBe(404);
    expect((await hub.call("/connections/a/b/channels", json({}))).status).toBe(405);
  });

  test("only who opened it may, and only what they may subscribe to", async () => {
    await using hub = await start(form, { authorize: byHeader });
    const ann = await open(hub, "/events?channel=a", { headers: { "x-user": "ann" } });
    const stranger = await open(hub, "/events?channel=a");
    const status = async (stream: Answer, body: unknown, headers: Record<string, string> = {}) => {
      const answer = await change(hub, stream, body, headers);
      await answer.text();
      return answer.status;
    };
    expect(await status(ann, { add: ["secret"] }, { "x-user": "ann" })).toBe(200);
    expect(await status(ann, { drop: ["a"] }, { "x-user": "bob" })).toBe(403);
    expect(await status(ann, { drop: ["a"] })).toBe(403);
    expect(await status(ann, { drop: ["a"] }, { "x-user": "nobody" })).toBe(401);
    expect(await status(stranger, { add: ["b"] }, { "x-user": "ann" })).toBe(403);
    expect(await status(stranger, { add: ["secret"] })).toBe(403);
    expect(await status(stranger, { add: ["b"] })).toBe(200);
    // One who may not subscribe at all does not learn which connections there are.
    const gone = await hub.call("/connections/x/channels", json({ add: ["a"] }, { "x-user": "nobody" }));
    expect(gone.status).toBe(401);
    expect([...hub.hub.connections()].map(({ channels }) => channels)).toEqual([
      ["a", "secret"],
      ["a", "b"],
    ]);
  });

  test("is asked about as subscribing to what is added", async () => {
    const asked: unknown[] = [];
    const authorize: Authorize = (_request, access) => {
      asked.push(access);
      return {};
    };
    await using hub = await start(form, { authorize });
    const stream = await open(hub, "/events?channel=a");
    await change(hub, stream, { add: ["b", "c/*"], drop: ["a"] });
    await change(hub, stream, { drop: ["b"] });
    expect(asked.slice(1)).toEqual([
      { action: "subscribe", channels: ["b", "c/*"] },
      { action: "subscribe", channels: [] },
    ]);
  });

  test("a stream ends when the right to what was added does", async () => {
    let expiresAtMs = Infinity;
    await using hub = await start(form, { authorize: () => ({ user: "ann", expiresAtMs }) });
    const stream = await open(hub, "/events?channel=a");
    expiresAtMs = Date.now() + 300;
    expect((await change(hub, stream, { add: ["b"] })).status).toBe(200);
    const [last] = await stream.events.rest();
    expect(JSON.parse(last?.data ?? "")).toMatchObject({ reason: "expired", reconnect: true });
  });

  test("a page may do it where it may subscribe with a body", async () => {
    const page = "https://app.example";
    const local = "http://localhost:5173";
    await using hub = await start(form, { corsOrigins: [page], loopbackOrigins: true });
    const stream = await open(hub, "/events");
    for (const origin of [page, local]) {
      const headers = { origin, "access-control-request-method": "POST" };
      const preflight = await hub.call(pathOf(stream), { method: "OPTIONS", headers });
      expect(preflight.status).toBe(204);
      expect(preflight.header("access-control-allow-origin")).toBe(origin);
      expect(preflight.header("access-control-allow-methods")).toContain("POST");
      const answer = await change(hub, stream, { add: ["b"] }, { origin });
      expect(answer.status).toBe(200);
      expect(answer.header("access-control-expose-headers")).toContain("Millrace-Position");
    }
    const evil = await change(hub, stream, { add: ["c"] }, { origin: "https://evil.example" });
    expect(evil.header("access-control-allow-origin")).toBeUndefined();
    const end = await hub.call(`/connections/${stream.header("millrace-connection")}`, {
      method: "DELETE",
      headers: { origin: local },
    });
    expect(end.status).toBe(403);
  });

  test("a broadcast cannot be published over HTTP, nor subscribed to", async () => {
    await using hub = await start(form);
    const publish = await hub.call("/publish", json({ channel: "@all", data: 1 }));
    expect([publish.status, (await publish.problem()).code]).toEqual([400, "invalid_channel"]);
    const subscribe = await hub.call("/events?channel=@all");
    expect([subscribe.status, (await subscribe.problem()).code]).toEqual([400, "invalid_channel"]);
    expect(hub.hub.log.tail).toBe(0);
    const before = hub.hub.position();
    const position = await hub.hub.broadcast({ data: 1 });
    const poll = await hub.call(`/events?channel=x&mode=poll&lastEventId=${before}`);
    expect(poll.header("millrace-position")).toBe(position);
    expect(await poll.text()).toContain("channel: @all");
  });
});
