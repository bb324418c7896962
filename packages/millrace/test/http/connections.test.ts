import { describe, expect, test } from "vitest";
import { forms, json, open, start, until } from "./support/index.js";

describe.each(forms)("connections over $name", (form) => {
  test("are listed with what they read and where they are", async () => {
    await using hub = await start(form, { authorize: () => ({ user: "ann", roles: ["admin"] }) });
    const { header } = await open(hub, "/events?channel=b/*&channel=a&channel=b/c");
    const answer = await hub.call("/connections");
    expect(answer.status).toBe(200);
    expect(answer.header("content-type")).toBe("application/json");
    expect(JSON.parse(await answer.text())).toEqual({
      connections: [
        {
          id: header("millrace-connection"),
          user: "ann",
          roles: ["admin"],
          channels: ["a", "b/*"],
          format: "event",
          transport: form.name,
          state: "live",
          position: hub.hub.position(),
          openedAt: expect.stringMatching(/^\d{4}-.*Z$/),
          remoteAddress: "127.0.0.1",
        },
      ],
    });
    expect((await hub.call("/connections?all=1")).status).toBe(400);
  });

  test("end, and their clients come back", async () => {
    await using hub = await start(form);
    const { header, events } = await open(hub, "/events");
    const other = await open(hub, "/events");
    const id = header("millrace-connection");
    expect((await hub.call(`/connections/${id}`, { method: "DELETE" })).status).toBe(204);
    const [last] = await events.rest();
    expect(last).toMatchObject({ type: "millrace.close", lastEventId: hub.hub.position() });
    expect(JSON.parse(last?.data ?? "")).toEqual({ reason: "disconnected", reconnect: true });
    expect(events.retries).toHaveLength(2);
    await until("it is forgotten", () => hub.hub.connection(id ?? "") === undefined);
    expect((await hub.call(`/connections/${id}`, { method: "DELETE" })).status).toBe(404);
    await hub.hub.publish({ data: "still here" });
    expect(await other.events.data(1)).toEqual(["still here"]);
  });

  test("end for good: the last id is answered 204", async () => {
    await using hub = await start(form);
    const { header, events } = await open(hub, "/events");
    await hub.call(`/connections/${header("millrace-connection")}?reconnect=false`, { method: "DELETE" });
    const [last] = await events.rest();
    expect(last).toMatchObject({ type: "millrace.close", lastEventId: "millrace.closed" });
    expect(JSON.parse(last?.data ?? "")).toEqual({ reason: "disconnected", reconnect: false });
    const again = await hub.call("/events", { headers: { "last-event-id": events.lastEventId } });
    expect(again.status).toBe(204);
  });

  test.each([
    ["/connections/nobody", 404, "connection_gone"],
    ["/connections/", 404, "connection_gone"],
    ["/connections/__proto__", 404, "connection_gone"],
    ["/connections/%ff", 400, "invalid_encoding"],
    ["/connections/x?reconnect=maybe", 400, "invalid_parameter"],
    ["/connections/x?reconnect=true&reconnect=false", 400, "invalid_parameter"],
    ["/connections/x?recconect=true", 400, "unknown_parameter"],
  ])("DELETE %s is %d", async (target, status, code) => {
    await using hub = await start(form);
    const answer = await hub.call(target, { method: "DELETE" });
    expect(answer.status).toBe(status);
    expect((await answer.problem()).code).toBe(code);
  });

  test.each([
    ["PUT", "/events", "GET, POST, OPTIONS"],
    ["HEAD", "/events", "GET, POST, OPTIONS"],
    ["GET", "/publish", "POST, OPTIONS"],
    ["DELETE", "/connections", "GET, HEAD, OPTIONS"],
    ["GET", "/connections/x", "DELETE, OPTIONS"],
    ["PATCH", "/health", "GET, HEAD, OPTIONS"],
  ])("%s %s is 405 with what is allowed", async (method, target, allowed) => {
    await using hub = await start(form);
    const answer = await hub.call(target, { method });
    expect(answer.status).toBe(405);
    expect(answer.header("allow")).toBe(allowed);
    if (method !== "HEAD") expect((await answer.problem()).code).toBe("method_not_allowed");
    await answer.text();
  });

  test("other paths are not the hub's", async () => {
    await using hub = await start(form);
    for (const path of ["/", "/event", "/events/", "/__proto__", "/constructor"]) {
      const answer = await hub.call(path);
      expect(answer.status).toBe(404);
      await answer.text();
    }
  });

  test("health and readiness are open to all, whatever authorize says", async () => {
    await using hub = await start(form, { authorize: () => ({ refuse: 401 }), allowedParameters: [] });
    for (const path of ["/health", "/ready"]) {
      const answer = await hub.call(path);
      expect(answer.status).toBe(200);
      expect(JSON.parse(await answer.text()).status).toBe(path === "/health" ? "ok" : "ready");
      const head = await hub.call(path, { method: "HEAD" });
      expect([head.status, await head.text()]).toEqual([200, ""]);
    }
    expect((await hub.call("/metrics")).status).toBe(401);
  });

  test("metrics are the application's, or not there", async () => {
    await using without = await start(form);
    expect((await (await without.call("/metrics")).problem()).status).toBe(404);
    await using hub = await start(form, {
      metrics: async () => ({ type: "text/plain; version=0.0.4", text: "a 1\n" }),
    });
    const answer = await hub.call("/metrics");
    expect(answer.header("content-type")).toBe("text/plain; version=0.0.4");
    expect(await answer.text()).toBe("a 1\n");
  });

  test("caps: in all, by address, by user; 503 says when to come back", async () => {
    for (const [limits, options] of [
      [{ connections: 2 }, {}],
      [{ connectionsPerIp: 2 }, {}],
      [{ connectionsPerUser: 2 }, { authorize: () => ({ user: "ann" }) }],
    ] as const) {
      await using hub = await start(form, { limits, ...options });
      await open(hub, "/events");
      const second = await open(hub, "/events");
      const refused = await hub.call("/events");
      expect(refused.status).toBe(503);
      expect(Number(refused.header("retry-after"))).toBeGreaterThanOrEqual(1);
      expect(await refused.problem()).toMatchObject({ code: "too_many_connections" });
      expect((await hub.call("/events?mode=poll&rewind=all")).status).toBe(503);
      second.leave();
      await until("there is room", () => hub.hub.stats().connections === 1);
      await open(hub, "/events");
    }
  });

  test("draining: streams are told to come back, new ones and publishes are refused", async () => {
    await using hub = await start(form);
    const streams = [];
    for (let i = 0; i < 3; i++) streams.push(await open(hub, "/events"));
    const began = performance.now();
    const closed = hub.hub.close({ drainMs: 5000 });
    const refused = await hub.call("/events");
    expect(refused.status).toBe(503);
    expect(refused.header("retry-after")).toBe("1");
    expect((await refused.problem()).code).toBe("closed");
    const publish = await hub.call("/publish", json({ data: 1 }));
    expect(publish.status).toBe(503);
    expect(Number(publish.header("retry-after"))).toBeGreaterThanOrEqual(1);
    const ready = await hub.call("/ready");
    expect(Number(ready.header("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await ready.problem()).toMatchObject({ status: 503, code: "not_ready", detail: "not ready: shutting down" });
    for (const { events } of streams) {
      const [last] = await events.rest();
      expect(JSON.parse(last?.data ?? "")).toEqual({ reason: "shutdown", reconnect: true });
    }
    await closed;
    expect(performance.now() - began).toBeLessThan(3000);
  });
});
