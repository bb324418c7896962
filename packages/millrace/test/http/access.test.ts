import { describe, expect, test } from "vitest";
import type { AccessRequest, Action, Identity } from "../../src/index.js";
import { createHub } from "../../src/index.js";
import { type Form, forms, json, open, start } from "./support/index.js";

describe.each(forms)("who may do what over $name", (form) => {
  test("by default anyone reads, and nobody does anything else", async () => {
    await using client = await form.serve(createHub());
    await open(client, "/events");
    for (const [target, call] of [
      ["/publish", json({ data: 1 })],
      ["/connections", {}],
      ["/connections/x", { method: "DELETE" }],
    ] as const) {
      const answer = await client.call(target, call);
      expect(answer.status).toBe(403);
      const { code, detail } = await answer.problem();
      expect(code).toBe("forbidden");
      expect(detail).toContain("authorize");
    }
  });

  test("authorize is told what is asked for", async () => {
    const asked: { action: Action; channels: readonly string[]; request: AccessRequest }[] = [];
    await using hub = await start(form, {
      allowedParameters: ["token"],
      authorize: (request, { action, channels }) => {
        asked.push({ action, channels, request });
        return {};
      },
    });
    await open(hub, "/events?channel=a&channel=b/*&token=t%20", { headers: { "x-mine": "Zoë" } });
    await open(hub, "/events", json({ channels: ["c"] }));
    await open(hub, "/events");
    await hub.call("/publish", json([{ channel: "x", data: 1 }, { data: 2 }, { channel: "x", data: 3 }]));
    await hub.call("/connections");
    await hub.call("/connections/nobody", { method: "DELETE" });
    expect(asked.map(({ action, channels }) => [action, channels])).toEqual([
      ["subscribe", ["a", "b/*"]],
      ["subscribe", ["c"]],
      ["subscribe", ["general"]],
      ["publish", ["x", "general"]],
      ["inspect", []],
      ["inspect", []],
    ]);
    const request = asked[0]?.request as AccessRequest;
    expect(request).toMatchObject({ method: "GET", path: "/events", remoteAddress: "127.0.0.1" });
    expect(request.query).toBe("channel=a&channel=b/*&token=t%20");
    expect(request.header("X-Mine")).toBe("Zoë");
    expect(request.raw).toBeDefined();
  });

  test("401 and 403, with the application's reason", async () => {
    await using hub = await start(form, {
      authorize: async (request) => {
        const token = request.header("authorization");
        if (token === undefined) return { refuse: 401 };
        return token === "Bearer good" ? { user: "ann" } : { refuse: 403, reason: "that token is not mine" };
      },
    });
    const none = await hub.call("/events");
    expect(none.status).toBe(401);
    expect(none.header("www-authenticate")).toBe("Bearer");
    expect(await none.problem()).toMatchObject({ code: "unauthorized", detail: expect.stringContaining("Bearer") });
    const bad = await hub.call("/events", { headers: { authorization: "Bearer bad" } });
    expect(bad.status).toBe(403);
    expect(await bad.problem()).toMatchObject({ code: "forbidden", detail: "that token is not mine" });
    await open(hub, "/events", { headers: { authorization: "Bearer good" } });
    expect([...hub.hub.connections()].map(({ identity }) => identity.user)).toEqual(["ann"]);
  });

  test("an authorize that throws lets nobody in, and its error goes to no client", async () => {
    await using hub = await start(form, {
      authorize: () => {
        throw new Error("password of the database: 1234");
      },
    });
    const answer = await hub.call("/events");
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("1234");
    expect(hub.errors).toHaveLength(1);
    expect(hub.hub.stats().opened).toBe(0);
  });
});

describe("what authorize answers is checked", () => {
  const [, , fetchForm] = forms as [Form, Form, Form];
  test.each<[unknown, RegExp]>([
    [undefined, /undefined/],
    [null, /null/],
    [true, /true/],
    ["ann", /"ann"/],
    [{ refuse: 404 }, /refuse.*404/],
    [{ user: 42 }, /user.*42/],
    [{ user: "" }, /user.*""/],
    [{ user: null }, /user.*null/],
    [{ roles: "admin" }, /roles.*"admin"/],
    [{ roles: ["a", 7] }, /roles.*7/],
    [{ expiresAtMs: Number.NaN }, /expiresAtMs.*NaN/],
    [{ expiresAtMs: "2026" }, /expiresAtMs.*"2026"/],
  ])("%j is the application's mistake", async (answer, message) => {
    await using hub = await start(fetchForm, { authorize: () => answer as Identity });
    expect((await hub.call("/events")).status).toBe(500);
    expect(hub.errors).toEqual([expect.objectContaining({ message: expect.stringMatching(message) })]);
    expect(hub.errors).toEqual([expect.objectContaining({ message: expect.stringMatching(/^authorize /) })]);
  });

  test("credentials that have expired are none", async () => {
    let expiresAtMs = Date.now() - 1;
    await using hub = await start(fetchForm, { authorize: () => ({ user: "ann", expiresAtMs }) });
    const answer = await hub.call("/events?mode=poll&rewind=all");
    expect(answer.status).toBe(401);
    expect(await answer.problem()).toMatchObject({ code: "unauthorized", detail: expect.stringContaining("expired") });
    expiresAtMs = Infinity;
    await open(hub, "/events");
    expect(hub.errors).toEqual([]);
  });
});

const page = "https://app.example";

describe.each(forms)("pages of other origins over $name", (form) => {
  test("without a list no other page may read or write", async () => {
    await using hub = await start(form);
    const read = await hub.call("/health", { headers: { origin: page } });
    expect(read.status).toBe(200);
    expect(read.header("access-control-allow-origin")).toBeUndefined();
    const write = await hub.call("/publish", json({ data: 1 }, { origin: page }));
    expect(write.status).toBe(403);
    expect((await write.problem()).code).toBe("forbidden_origin");
    const end = await hub.call("/connections/x", { method: "DELETE", headers: { origin: "null" } });
    expect(end.status).toBe(403);
    expect(hub.hub.log.tail).toBe(0);
  });

  test("pages of the hub's own origin may write", async () => {
    await using hub = await start(form);
    const headers = { host: "hub.example:8080", origin: "http://hub.example:8080" };
    expect((await hub.call("/publish", json({ data: 1 }, headers))).status).toBe(200);
    const other = { host: "hub.example:8080", origin: "http://hub.example:8081" };
    expect((await hub.call("/publish", json({ data: 1 }, other))).status).toBe(403);
  });

  test("listed origins may do all, with credentials, and see what they need", async () => {
    await using hub = await start(form, { corsOrigins: [page] });
    const stream = await open(hub, "/events", { headers: { origin: page } });
    expect(stream.header("access-control-allow-origin")).toBe(page);
    expect(stream.header("access-control-allow-credentials")).toBe("true");
    expect(stream.header("vary")).toBe("Origin");
    const exposed = stream.header("access-control-expose-headers")?.toLowerCase();
    for (const name of ["millrace-position", "millrace-connection", "millrace-heartbeat-ms", "retry-after"]) {
      expect(exposed).toContain(name);
    }
    expect((await hub.call("/publish", json({ data: 1 }, { origin: page }))).status).toBe(200);
    // An error that the page may not read is a riddle.
    const wrong = await hub.call("/events?format=x", { headers: { origin: page } });
    expect(wrong.header("access-control-allow-origin")).toBe(page);
    const closed = await hub.call("/events?lastEventId=millrace.closed", { headers: { origin: page } });
    expect(closed.header("access-control-allow-origin")).toBe(page);
    const stranger = await hub.call("/health", { headers: { origin: "https://app.example.evil" } });
    expect(stranger.header("access-control-allow-origin")).toBeUndefined();
    expect(stranger.header("vary")).toBe("Origin");
  });

  test("* is any origin, never with credentials", async () => {
    await using hub = await start(form, { corsOrigins: ["*"] });
    const stream = await open(hub, "/events", { headers: { origin: page } });
    expect(stream.header("access-control-allow-origin")).toBe("*");
    expect(stream.header("access-control-allow-credentials")).toBeUndefined();
    expect((await hub.call("/publish", json({ data: 1 }, { origin: page }))).status).toBe(200);
  });

  test.each(["http://localhost:5173", "http://127.0.0.1:81", "https://[::1]:8443", "http://app.localhost:3000"])(
    "%s may read from a loopback hub, without credentials, and not write",
    async (origin) => {
      await using hub = await start(form, { loopbackOrigins: true });
      for (const answer of [
        await open(hub, "/events", { headers: { origin } }),
        await open(hub, "/events", json({ channels: ["a"] }, { origin })),
      ]) {
        expect(answer.header("access-control-allow-origin")).toBe(origin);
        expect(answer.header("access-control-allow-credentials")).toBeUndefined();
      }
      const write = await hub.call("/publish", json({ data: 1 }, { origin }));
      expect(write.status).toBe(403);
      expect(write.header("access-control-allow-origin")).toBeUndefined();
    },
  );

  test.each([
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil.example/localhost",
    "null",
  ])("%s is no loopback origin", async (origin) => {
    await using hub = await start(form, { loopbackOrigins: true });
    const answer = await hub.call("/health", { headers: { origin } });
    expect(answer.header("access-control-allow-origin")).toBeUndefined();
  });

  test("preflight says what is allowed, and only to those who may", async () => {
    await using hub = await start(form, { corsOrigins: [page], loopbackOrigins: true });
    const preflight = (origin: string, path: string, method: string) =>
      hub.call(path, { method: "OPTIONS", headers: { origin, "access-control-request-method": method } });
    const allowed = await preflight(page, "/publish", "POST");
    expect(allowed.status).toBe(204);
    expect(allowed.header("access-control-allow-origin")).toBe(page);
    expect(allowed.header("access-control-allow-methods")).toContain("DELETE");
    for (const name of ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"]) {
      expect(allowed.header("access-control-allow-headers")).toContain(name);
    }
    const local = "http://localhost:5173";
    const cases = [
      [local, "/events", "GET", local],
      [local, "/events", "POST", local],
      [local, "/publish", "POST", undefined],
      [local, "/connections/x", "DELETE", undefined],
      ["https://evil.example", "/events", "GET", undefined],
    ] as const;
    for (const [origin, path, method, expected] of cases) {
      const answer = await preflight(origin, path, method);
      expect(answer.header("access-control-allow-origin")).toBe(expected);
      expect(answer.header("access-control-allow-methods") === undefined).toBe(expected === undefined);
    }
  });
});

describe.each(forms)("the Host over $name", (form) => {
  test.each([
    ["hub.example", 200],
    ["hub.example:8080", 200],
    ["HUB.example", 200],
    ["hub.example.", 200],
    ["hub.example.:8080", 200],
    ["localhost:4000", 200],
    ["127.0.0.1", 200],
    ["[::1]:4000", 200],
    ["evil.example", 403],
    ["hub.example.evil", 403],
    ["127.0.0.1.evil.example", 403],
    ["localhost.evil.example:4000", 403],
  ])("%s is %d where names are checked", async (host, status) => {
    await using hub = await start(form, { allowedHosts: ["hub.example"] });
    const answer = await hub.call("/health", { headers: { host } });
    expect(answer.status).toBe(status);
    if (status === 403) {
      expect(await answer.problem()).toMatchObject({
        code: "forbidden_host",
        detail: expect.stringContaining("allowedHosts"),
      });
    }
  });

  test("is anything where they are not", async () => {
    await using hub = await start(form);
    expect((await hub.call("/health", { headers: { host: "any.example" } })).status).toBe(200);
  });
});

describe.each(forms.filter(({ name }) => name !== "fetch"))("the peer's address over $name", (form) => {
  const address = async (trustedProxies: string[], forwarded?: string) => {
    await using hub = await start(form, { trustedProxies });
    await open(hub, "/events", { headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded } });
    return [...hub.hub.connections()][0]?.remoteAddress;
  };

  test("is what a trusted proxy says, and nobody else", async () => {
    expect(await address([])).toBe("127.0.0.1");
    expect(await address([], "192.0.2.9")).toBe("127.0.0.1");
    expect(await address(["10.0.0.1"], "192.0.2.9")).toBe("127.0.0.1");
    expect(await address(["127.0.0.1"])).toBe("127.0.0.1");
    expect(await address(["127.0.0.1"], "192.0.2.9")).toBe("192.0.2.9");
    expect(await address(["127.0.0.1"], "::ffff:192.0.2.9")).toBe("192.0.2.9");
    expect(await address(["127.0.0.1"], "2001:db8::7")).toBe("2001:db8::7");
    // What the client wrote itself stands left of what the proxy saw.
    expect(await address(["127.0.0.1"], "1.2.3.4, 192.0.2.9")).toBe("192.0.2.9");
    expect(await address(["127.0.0.1", "10.0.0.1"], "1.2.3.4, 192.0.2.9, 10.0.0.1")).toBe("192.0.2.9");
    expect(await address(["127.0.0.1"], " , ")).toBe("127.0.0.1");
  });
});
