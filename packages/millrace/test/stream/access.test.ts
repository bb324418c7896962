/** Who may read, what pages of other origins may do, and what comes with a request. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { type AnyRequest, type EventStreamOptions, eventStream, MillraceError } from "../../src/index.js";
import { listen } from "../http/support/forms.js";
import { connectRaw } from "../http/support/raw.js";
import { deferred, forms, http1, refuseUnhandledRejections, start } from "./support/index.js";

refuseUnhandledRejections();

describe.each(forms)("over $name", (form) => {
  const guarded: EventStreamOptions<AnyRequest> = {
    authorize: async (request, access) => {
      expect(access).toEqual({ action: "subscribe", channels: [] });
      expect([request.path, request.query]).toEqual(["/events", "from=test"]);
      const token = request.header("Authorization");
      if (token === undefined) return { refuse: 401 };
      if (token === "Bearer expired") return { user: "ann", expiresAtMs: Date.now() - 1 };
      if (token === "Bearer broken") throw new Error("secret");
      return token === "Bearer good" ? { user: "ann", roles: ["staff"] } : { refuse: 403, reason: "not you" };
    },
    corsOrigins: ["https://app.example"],
  };
  const ask = (token?: string) => ({
    headers: { origin: "https://app.example", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  });

  test.each([
    [undefined, 401, "unauthorized", "credentials are needed: send Authorization: Bearer"],
    ["expired", 401, "unauthorized", "these credentials have expired"],
    ["bad", 403, "forbidden", "not you"],
    ["broken", 500, "internal", "something went wrong inside the server: its log says what"],
  ])("credentials %s: %i", async (token, status, code, detail) => {
    let called = 0;
    await using server = await start(form, () => void called++, guarded);
    const answer = await server.call(ask(token));
    expect(answer.status).toBe(status);
    expect(answer.header("access-control-allow-origin")).toBe("https://app.example");
    expect(answer.header("www-authenticate")).toBe(status === 401 ? "Bearer" : undefined);
    expect(await answer.problem()).toMatchObject({ status, code, detail });
    expect([called, server.route.streams.size]).toEqual([0, 0]);
    expect(server.errors).toEqual(token === "broken" ? [new Error("secret")] : []);
  });

  test("good ones: the handler knows who it is", async () => {
    await using server = await start(form, async (stream) => stream.send({ data: stream.identity }), guarded);
    const answer = await server.call(ask("good"));
    expect((await answer.events.next()).data).toBe('{"user":"ann","roles":["staff"]}');
  });

  test("without authorize nobody is known, and everybody let in", async () => {
    await using server = await start(form, async (stream) => stream.send({ data: stream.identity }));
    expect((await (await server.call()).events.next()).data).toBe("{}");
  });

  test("pages of the origins that are named may read, with credentials; others may not", async () => {
    await using server = await start(form, async () => {}, { corsOrigins: ["https://app.example"] });
    const cors = async (origin: string) => {
      const answer = await server.call({ headers: { origin } });
      await answer.text();
      return ["access-control-allow-origin", "access-control-allow-credentials", "vary"].map(answer.header);
    };
    expect(await cors("https://app.example")).toEqual(["https://app.example", "true", "Origin"]);
    expect(await cors("https://evil.example")).toEqual([undefined, undefined, "Origin"]);
    const answer = await server.call({ headers: { origin: "https://app.example" } });
    expect(answer.header("access-control-expose-headers")).toContain("Millrace-Connection");
  });

  test("pages of any, where * is named, but without credentials", async () => {
    await using server = await start(form, async () => {}, { corsOrigins: ["*"] });
    const answer = await server.call({ headers: { origin: "https://any.example" } });
    expect(answer.header("access-control-allow-origin")).toBe("*");
    expect(answer.header("access-control-allow-credentials")).toBeUndefined();
  });

  test("OPTIONS answers a preflight request, and asks for no credentials", async () => {
    await using server = await start(form, () => {}, guarded);
    const headers = { origin: "https://app.example", "access-control-request-method": "GET" };
    const answer = await server.call({ method: "OPTIONS", headers });
    expect([answer.status, await answer.text()]).toEqual([204, ""]);
    expect(answer.header("access-control-allow-headers")).toMatch(/Authorization.*Last-Event-ID/);
    expect(answer.header("access-control-allow-methods")).toContain("GET");
  });

  test("HEAD answers what GET would, and opens nothing", async () => {
    let called = 0;
    await using server = await start(form, () => void called++);
    const answer = await server.call({ method: "HEAD" });
    expect([answer.status, await answer.text(), called]).toEqual([200, "", 0]);
    expect(answer.header("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(answer.header("cache-control")).toBe("no-cache, no-store, must-revalidate, no-transform");
    expect(answer.header("content-length")).toBeUndefined();
  });

  test("a body can be read after the stream has opened", async () => {
    const body = "x".repeat(1_000_000);
    await using server = await start(form, async (stream, request) => {
      await stream.send("open");
      let length = 0;
      const parts = request instanceof Request ? (request.body as ReadableStream<Uint8Array>) : request;
      for await (const part of parts) length += part.length;
      await stream.send({ data: length });
    });
    const answer = await server.call({ method: "POST", body });
    expect(await answer.events.data(2)).toEqual(["open", "1000000"]);
    expect(await answer.events.rest()).toMatchObject([{ type: "millrace.close" }]);
    expect(server.errors).toEqual([]);
  });

  test("a body that nobody reads holds nothing up", async () => {
    await using server = await start(form, async (stream) => stream.send("open"));
    const answer = await server.call({ method: "POST", body: "x".repeat(1_000_000) });
    expect((await answer.events.next()).data).toBe("open");
    expect(await answer.events.rest()).toMatchObject([{ type: "millrace.close" }]);
  });

  test("headers and an id of the application's own, made for each stream", async () => {
    let last: AnyRequest | undefined;
    await using server = await start(
      form,
      async (stream, request) => {
        expect(request).toBe(last);
        await stream.send(stream.id);
      },
      {
        id: (request) => {
          last = request;
          return "stream-1";
        },
        headers: ({ id }, request) => {
          expect(request).toBe(last);
          return { "X-Stream": id, "Cache-Control": "no-store" };
        },
      },
    );
    const answer = await server.call();
    expect(["x-stream", "millrace-connection", "cache-control"].map(answer.header)).toEqual([
      ...["stream-1", "stream-1", "no-store"],
    ]);
    expect((await answer.events.next()).data).toBe("stream-1");
    expect(server.errors).toEqual([]);
  });

  test("headers that frame an answer are not the application's to set", async () => {
    const headers = { Connection: "keep-alive", "Content-Length": "5", "Transfer-Encoding": "chunked" };
    await using server = await start(form, async (stream) => stream.send("whole"), { headers });
    const answer = await server.call();
    expect((await answer.events.next()).data).toBe("whole");
    expect(answer.header("content-length")).toBeUndefined();
    if (form.socket && form.kind === "node") expect(answer.header("transfer-encoding")).toBeUndefined();
    expect(answer.header("connection") ?? "").not.toMatch(/keep-alive.*close|close.*keep-alive/);
    expect(await answer.events.rest()).toHaveLength(1);
    expect(server.errors).toEqual([]);
  });

  const injected = "x\r\nSet-Cookie: a=b\r\n\r\ndata: injected";
  test.each<[string, EventStreamOptions<AnyRequest>]>([
    ["an id with a line end", { id: () => injected }],
    ["an id with CR", { id: () => "a\rb" }],
    ["an id with NUL", { id: () => "a\0b" }],
    ["a header with a line end", { headers: () => ({ "x-name": injected }) }],
    ["a header made with LF", { headers: () => ({ "x-name": "a\nb" }) }],
    ["a name with a line end", { headers: () => ({ "x-name: a\r\nset-cookie": "b" }) }],
    ["a name with a colon", { headers: () => ({ "x:y": "b" }) }],
    ["an empty name", { headers: () => ({ "": "b" }) }],
    [
      "one that throws",
      {
        headers: () => {
          throw new Error("mine");
        },
      },
    ],
  ])("%s: 500, told to the application, nothing of it sent", async (_what, options) => {
    let called = 0;
    await using server = await start(form, () => void called++, options);
    const answer = await server.call();
    expect(answer.status).toBe(500);
    expect(answer.header("set-cookie")).toBeUndefined();
    expect(await answer.text()).not.toMatch(/injected|mine/);
    expect([called, server.errors.length, server.route.streams.size]).toEqual([0, 1, 0]);
  });
});

test.each<[string, unknown[]]>([
  ["no handler", []],
  ["a handler that is none", [5]],
  ["an unknown option", [() => {}, { heartbeat: 1000 }]],
  ["an option of another kind", [() => {}, { authorize: "yes" }]],
  ["a text for a list", [() => {}, { corsOrigins: "http://a.example" }]],
  ["a header with a line end", [() => {}, { headers: { "x-name": "a\r\nb: c" } }]],
  ["a name that is none", [() => {}, { headers: { "x:y": "b" } }]],
  ["a stall time of nothing", [() => {}, { stallMs: 0 }]],
])("%s is refused when the route is made", (_what, given) => {
  const make = eventStream as unknown as (...given: unknown[]) => unknown;
  expect(() => make(...given)).toThrow(expect.objectContaining({ code: "invalid_option" }));
});

test("the last id comes in the address too, and the header wins", async () => {
  const route = eventStream(async (stream) => stream.send({ data: { last: stream.lastEventId } }));
  const ask = async (query: string, headers = {}) =>
    (await route(new Request(`http://a.example/${query}`, { headers }))).text();
  expect(await ask("?lastEventId=data-7&other=%zz")).toContain('{"last":"data-7"}');
  expect(await ask("?lastEventId=data-7", { "last-event-id": "data-8" })).toContain('{"last":"data-8"}');
  expect(await ask("")).toContain('{"last":""}');
});

test("a response that was begun is no stream", async () => {
  const errors: unknown[] = [];
  const route = eventStream(() => {}, { onError: (error) => errors.push(error) });
  const server = http.createServer((request, response) => {
    response.write("half of it");
    void route(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await expect(fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text())).rejects.toThrow();
  expect(errors).toMatchObject([{ message: expect.stringContaining("has begun already") }]);
  server.close();
});

test("what middleware has put into a request, and set for its answer, is there", async () => {
  const seen = deferred<AnyRequest>();
  const route = eventStream((stream, request: http.IncomingMessage & { user?: string }) => {
    seen.resolve(request);
    void stream.send(request.user ?? "nobody");
  });
  let given: http.IncomingMessage | undefined;
  const server = http.createServer((request, response) => {
    given = Object.assign(request, { user: "ann", params: { channel: "news" } });
    response.setHeader("X-Request-Id", "7");
    response.setHeader("Set-Cookie", ["a=1", "b=2"]);
    response.setHeader("Content-Length", "5");
    void route(request, response);
  });
  const client = await connectRaw(await listen(server));
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await client.hears("data: ann\n\n");
  expect(await seen.promise).toBe(given);
  expect(client.heard().match(/^(?:x-request-id|set-cookie|content-length).*(?=\r)/gim)).toEqual([
    ...["x-request-id: 7", "set-cookie: a=1", "set-cookie: b=2"],
  ]);
  await route.close();
  await client.closed;
  server.close();
});

test("the Request that a Fetch handler was given is the one it has", async () => {
  const request = Object.assign(new Request("http://hub.example/events"), { user: "ann" });
  const seen = deferred<Request>();
  const response = await eventStream(async (_stream, given: Request) => seen.resolve(given))(request);
  expect(await seen.promise).toBe(request);
  await response.text();
});

test("what a route was given behind the request is behind the stream's, too", async () => {
  const seen = deferred<unknown[]>();
  const route = eventStream(async (_stream, ...given: unknown[]) => seen.resolve(given));
  const request = new Request("http://hub.example/events");
  const context = { params: { id: "7" } };
  await (await route(request, context, "more")).text();
  expect(await seen.promise).toEqual([request, context, "more"]);
});

test("a body that comes later than the stream has opened, over HTTP/1.1", async () => {
  await using server = await start(http1, async (stream, request) => {
    await stream.send("open");
    let text = "";
    for await (const part of request as http.IncomingMessage) text += part;
    await stream.send(text);
  });
  const client = await connectRaw(server.port);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
  await client.hears("data: open\n\n");
  client.send("llo");
  await client.hears("data: hello\n\n");
  await client.hears("millrace.closed");
  client.socket.end();
  await client.closed;
});

test("a request that was aborted before it came opens nothing", async () => {
  let called = 0;
  const route = eventStream(() => void called++);
  const response = await route(new Request("http://hub.example/", { signal: AbortSignal.abort() }));
  expect([response.status, called]).toEqual([499, 0]);
});

test("one that leaves while it is being authorised opens nothing", async () => {
  const decide = deferred<void>();
  const asked = deferred<void>();
  let called = 0;
  const leaving = new AbortController();
  const route = eventStream(() => void called++, {
    authorize: async () => {
      asked.resolve();
      await decide.promise;
      return {};
    },
  });
  const answering = route(new Request("http://hub.example/", { signal: leaving.signal }));
  await asked.promise;
  leaving.abort();
  decide.resolve();
  expect([(await answering).status, called, route.streams.size]).toEqual([499, 0, 0]);
});

test.each<[string, object]>([
  ["heartbeatMs", { heartbeatMs: -1 }],
  ["heartbeatMs", { heartbeatMs: 2 ** 31 }],
  ["heartbeatMs", { heartbeatMs: "15s" }],
  ["heartbeatForm", { heartbeatForm: "ping" }],
  ["retryMs", { retryMs: 1.5 }],
  ["retryMs", { retryMs: -1 }],
  ["maxUnsentBytes", { maxUnsentBytes: Number.NaN }],
  ["corsOrigins", { corsOrigins: ["app.example"] }],
])("a wrong %s is refused at once: %j", (name, options) => {
  const make = () => eventStream(() => {}, options as EventStreamOptions);
  expect(make).toThrow(MillraceError);
  expect(make).toThrow(name);
});
