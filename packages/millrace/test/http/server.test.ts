import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Authorize,
  createHub,
  createServer,
  MillraceError,
  type Server,
  type ServerOptions,
} from "../../src/index.js";
import { EventReader } from "./support/events.js";
import { until } from "./support/index.js";

const running: Server[] = [];

async function run(server: Server): Promise<string> {
  running.push(server);
  return server.run();
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
});

const bodyOf = (response: Response): AsyncIterable<Uint8Array> => response.body as ReadableStream<Uint8Array>;

describe("routes", () => {
  test("parameters come decoded, and typed by the path", async () => {
    const server = createServer({ port: 0 });
    server.get("/rooms/:room/:seat", ({ params }) => {
      const room: string = params.room;
      // @ts-expect-error there is no such parameter
      void params.house;
      return { room, seat: params.seat };
    });
    const url = await run(server);
    const response = await fetch(`${url}/rooms/a%20b%2Fc/7`);
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await response.json()).toEqual({ room: "a b/c", seat: "7" });
    for (const path of ["/rooms/a", "/rooms/a/", "/rooms//7", "/rooms/a/7/8", "/room/a/7", "/"]) {
      expect((await fetch(url + path)).status, path).toBe(404);
    }
    expect((await fetch(`${url}/rooms/%ff/7`)).status).toBe(400);
  });

  test("the first route that matches answers; another method is 405; HEAD goes with GET", async () => {
    const server = createServer({ port: 0, bodyBytes: 1000 })
      .get("/a/me", () => "<b>me</b>")
      .get("/a/:id", ({ params }) => ({ id: params.id }))
      .post("/a/:id", async (request) => ({ got: await request.json() }))
      .put("/b", (_request, response) => void response.writeHead(204).end())
      .delete("/b", (_request, response) => void response.writeHead(202).end());
    const url = await run(server);
    const me = await fetch(`${url}/a/me`);
    expect([me.headers.get("content-type"), await me.text()]).toEqual(["text/html; charset=utf-8", "<b>me</b>"]);
    expect(await (await fetch(`${url}/a/you`)).json()).toEqual({ id: "you" });
    const post = (body: string, type = "application/json") =>
      fetch(`${url}/a/you`, { method: "POST", headers: { "content-type": type }, body });
    expect(await (await post("[1]")).json()).toEqual({ got: [1] });
    const statuses = [await post("[1"), await post("[1]", "text/plain"), await post(`"${"x".repeat(2000)}"`)];
    expect(statuses.map(({ status }) => status)).toEqual([400, 415, 413]);
    expect((await fetch(`${url}/b`, { method: "PUT" })).status).toBe(204);
    expect((await fetch(`${url}/b`, { method: "DELETE" })).status).toBe(202);
    const wrong = await fetch(`${url}/b`);
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "PUT, DELETE"]);
    const head = await fetch(`${url}/a/me`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("redirects, with the parameters of the path", async () => {
    const server = createServer({ port: 0 }).redirect("/", "/home").redirect("/old/:channel", "/events/:channel", 301);
    const url = await run(server);
    const to = async (path: string) => {
      const { status, headers } = await fetch(url + path, { redirect: "manual" });
      return [status, headers.get("location")];
    };
    expect(await to("/")).toEqual([307, "/home"]);
    expect(await to("/old/a%20%C3%A4")).toEqual([301, "/events/a%20%C3%A4"]);
    expect(() => server.redirect("/x/:a", "/y/:b")).toThrow(/has no parameter :b/);
  });

  test("a handler that throws is answered 500, and its error goes to the application alone", async () => {
    const errors: unknown[] = [];
    const server = createServer({ port: 0, onError: (error) => errors.push(error) })
      .get("/before", () => {
        throw new Error("the password is 12345");
      })
      .get("/after", (_request, response) => {
        response.write("half of it");
        throw new Error("too late");
      });
    const url = await run(server);
    const before = await fetch(`${url}/before`);
    expect([before.status, before.headers.get("content-type")]).toEqual([500, "application/problem+json"]);
    expect(await before.text()).not.toContain("12345");
    await expect(fetch(`${url}/after`).then((response) => response.text())).rejects.toThrow();
    expect(errors.map((error) => (error as Error).message)).toEqual(["the password is 12345", "too late"]);
  });

  test("a redirect leads nowhere else than it says", async () => {
    const server = createServer({ port: 0 }).redirect("/old/:channel", "/events/:channel");
    const url = await run(server);
    for (const dots of [".", "..", "%2e", "%2E.", "%2e%2e"]) {
      expect((await raw(url, "GET", `/old/${dots}`)).statusCode, dots).toBe(400);
    }
    expect((await raw(url, "GET", "/old/...")).headers.location).toBe("/events/...");
  });

  test("a MillraceError of a handler's own is not the client's business", async () => {
    const errors: unknown[] = [];
    const hub = createHub();
    const server = createServer({ port: 0, onError: (error) => errors.push(error) })
      .post("/wrong", () => hub.publish({ channel: "secret*", data: 1 }))
      .get("/id", () => "", { authorize: () => Promise.reject(new MillraceError("closed", "secret")) });
    const url = await run(server);
    for (const [path, method] of [
      ["/wrong", "POST"],
      ["/id", "GET"],
    ]) {
      const answer = await fetch(url + path, { method: method as string });
      expect(answer.status).toBe(500);
      expect(await answer.text()).not.toContain("secret");
    }
    expect(errors).toEqual([
      expect.objectContaining({ code: "invalid_channel" }),
      expect.objectContaining({ code: "closed" }),
    ]);
  });

  test.each(["events", "/a/:", "/a/:b/:b", "/a*", "/a?b=c", ""])("%j is no path", (path) => {
    expect(() => createServer().get(path, () => "")).toThrow(/path is/);
  });
});

/** What `fetch` would not send: any path, Host and Origin. */
const raw = async (url: string, method: string, path: string, headers: http.OutgoingHttpHeaders = {}) => {
  const request = http.request({ host: "127.0.0.1", port: new URL(url).port, method, path, headers, agent: false });
  const [response] = (await once(request.end(), "response")) as [http.IncomingMessage];
  response.resume();
  return response;
};

describe("pages of other origins, and other hosts", () => {
  const all = (server: Server) => {
    const answer = ({ method }: { method?: string | undefined }) => ({ method });
    return server.get("/a", answer).post("/a", answer).put("/a", answer).delete("/a", answer).post("/events", answer);
  };

  test("change nothing, but may be let", async () => {
    const url = await run(all(createServer({ port: 0, corsOrigins: ["https://app.example"] })));
    const status = async (method: string, origin?: string, path = "/a") =>
      (await raw(url, method, path, origin === undefined ? {} : { origin })).statusCode;
    for (const method of ["POST", "PUT", "DELETE"]) {
      expect(await status(method)).toBe(200);
      expect(await status(method, url)).toBe(200);
      expect(await status(method, "https://app.example")).toBe(200);
      for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1"]) {
        expect(await status(method, origin), `${method} ${origin}`).toBe(403);
      }
    }
    expect(await status("POST", "https://evil.example", "/events")).toBe(403);
    expect(await status("GET", "https://evil.example")).toBe(200);
    const { headers } = await raw(url, "GET", "/a", { origin: "https://app.example" });
    expect(headers["access-control-allow-origin"]).toBe("https://app.example");
    const asked = { origin: "https://app.example", "access-control-request-method": "PUT" };
    const preflight = await raw(url, "OPTIONS", "/a", asked);
    expect([preflight.statusCode, preflight.headers["access-control-allow-methods"]]).toEqual([
      204,
      "GET, POST, PUT, DELETE",
    ]);
    const other = await raw(url, "OPTIONS", "/a", { ...asked, origin: "https://evil.example" });
    expect(other.headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("a stream that has origins of its own answers their preflight", async () => {
    const url = await run(createServer({ port: 0 }).stream("/s", () => {}, { corsOrigins: ["https://app.example"] }));
    const asked = { origin: "https://app.example", "access-control-request-method": "GET" };
    const { statusCode, headers } = await raw(url, "OPTIONS", "/s", asked);
    expect([statusCode, headers["access-control-allow-origin"]]).toEqual([204, "https://app.example"]);
    const { headers: others } = await raw(url, "OPTIONS", "/s", { ...asked, origin: "https://evil.example" });
    expect(others["access-control-allow-origin"]).toBeUndefined();
  });

  test("who changes something is asked for as one who publishes, unless the route says otherwise", async () => {
    const asked: string[] = [];
    const authorize: Authorize = (_request, { action }) => {
      asked.push(action);
      return {};
    };
    const server = createServer({ port: 0 })
      .get("/a", () => "", { authorize })
      .post("/a", () => "", { authorize })
      .delete("/a", () => "", { authorize })
      .post("/ticket", () => "", { authorize, action: "subscribe" })
      .get("/connections", () => "", { authorize, action: "inspect" });
    const url = await run(server);
    for (const method of ["GET", "HEAD", "POST", "DELETE"]) await raw(url, method, "/a");
    await raw(url, "POST", "/ticket");
    await raw(url, "GET", "/connections");
    expect(asked).toEqual(["subscribe", "subscribe", "publish", "publish", "subscribe", "inspect"]);
  });

  test.each<[ServerOptions, string, number]>([
    [{}, "evil.example", 403],
    [{}, "localhost:80", 200],
    [{ host: "localhost" }, "evil.example", 403],
    [{ host: "0.0.0.0" }, "app.example", 200],
    [{ host: "0.0.0.0", allowedHosts: ["app.example"] }, "app.example:3000", 200],
    [{ host: "0.0.0.0", allowedHosts: ["app.example"] }, "evil.example", 403],
    [{ allowedHosts: ["app.example"] }, "app.example", 200],
  ])("%j and Host %s: %i", async (options, host, status) => {
    const url = await run(all(createServer({ port: 0, ...options })).use(createHub()));
    expect((await raw(url, "GET", "/a", { host })).statusCode).toBe(status);
    expect((await raw(url, "GET", "/health", { host })).statusCode).toBe(status);
  });
});

describe("running", () => {
  test("two calls share one listener; one that failed may be tried again", async () => {
    const server = createServer({ port: 0 });
    running.push(server);
    const [one, two] = await Promise.all([server.run(), server.run()]);
    expect(one).toBe(two);
    const late = createServer({ port: Number(new URL(one).port) });
    await expect(late.run()).rejects.toThrow(/EADDRINUSE/);
    await server.stop();
    expect(await run(late)).toBe(one);
  });

  test("what was stopped stays so, also while it was beginning", async () => {
    const server = createServer({ port: 0 }).get("/", () => "");
    const beginning = server.run();
    await server.stop();
    const url = await beginning;
    await expect(fetch(url)).rejects.toThrow();
    await expect(server.run()).rejects.toMatchObject({ code: "closed" });
    const idle = createServer({ port: 0 });
    await idle.stop();
    await expect(idle.run()).rejects.toMatchObject({ code: "closed" });
  });
});

describe("streams", () => {
  test("a parameter picks the channel, an unknown one falls back to general", async () => {
    const known = ["news", "stocks", "chat", "general"];
    const server = createServer({ port: 0 }).stream("/events/:channel", async (stream, { params }) => {
      await stream.send({ data: { channel: known.includes(params.channel) ? params.channel : "general" } });
    });
    const url = await run(server);
    for (const [asked, got] of [...known.map((name) => [name, name]), ["weather", "general"]]) {
      const { data } = await new EventReader(bodyOf(await fetch(`${url}/events/${asked}`))).next();
      expect(JSON.parse(data)).toEqual({ channel: got });
    }
  });

  test("a hub's routes are answered beside the server's own", async () => {
    const hub = createHub({ authorize: () => ({}) });
    const url = await run(
      createServer({ port: 0 })
        .get("/", () => "<h1>hello</h1>")
        .use(hub),
    );
    const reader = new EventReader(bodyOf(await fetch(`${url}/events?channel=news`)));
    const body = JSON.stringify({ channel: "news", data: { n: 1 } });
    const headers = { "content-type": "application/json" };
    expect((await fetch(`${url}/publish`, { method: "POST", headers, body })).status).toBe(200);
    expect((await reader.next()).data).toBe('{"n":1}');
    expect(await (await fetch(url)).text()).toBe("<h1>hello</h1>");
    expect((await fetch(`${url}/else`)).status).toBe(404);
  });

  test("stop ends streams in order, with all that was sent, and waits for nothing else", async () => {
    const text = "x".repeat(1000);
    const server = createServer({ port: 0 }).stream("/events", async (stream) => {
      for (let n = 0; n < 100; n++) await stream.send(`${n} ${text}`);
      await stream.closed;
    });
    const url = await run(server);
    const idle = net.connect(Number(new URL(url).port), "127.0.0.1").on("error", () => {});
    await once(idle, "connect");
    const reader = new EventReader(bodyOf(await fetch(`${url}/events`)));
    await reader.next();
    const [rest] = await Promise.all([reader.rest(), server.stop()]);
    expect(rest).toHaveLength(100);
    expect(rest.at(-1)).toMatchObject({ type: "millrace.close", data: '{"reason":"shutdown","reconnect":true}' });
    await expect(fetch(url)).rejects.toThrow();
    await until("the idle connection has been closed", () => idle.destroyed || idle.readableEnded);
    idle.destroy();
  });
});

describe("options", () => {
  test("host, port, no-delay, linger and buffer are taken", async () => {
    const server = createServer({ host: "0.0.0.0", port: 0, noDelay: true, linger: false, bufferBytes: 4096 });
    let marks: (number | undefined)[] = [];
    server.get("/", (request, response) => {
      marks = [request.socket.writableHighWaterMark, request.socket.readableHighWaterMark];
      response.end();
    });
    const url = await run(server);
    expect(url).toMatch(/^http:\/\/0\.0\.0\.0:\d+$/);
    await fetch(url.replace("0.0.0.0", "127.0.0.1"));
    expect(marks).toEqual([4096, 4096]);
  });

  test("a setting that is none is refused", () => {
    const linger = { linger: 5 } as unknown as { linger: false };
    expect(() => createServer(linger)).toThrow(
      expect.objectContaining<Partial<MillraceError>>({ code: "invalid_option" }),
    );
  });

  test.each<[object, RegExp]>([
    [{ prot: 3000 }, /prot/],
    [{ allowedHosts: "app.example" }, /allowedHosts/],
    [{ allowedHosts: ["https://app.example"] }, /allowedHosts/],
    [{ corsOrigins: ["app.example"] }, /corsOrigins/],
    [{ onError: 1 }, /onError/],
  ])("%j is refused", (options, message) => {
    expect(() => createServer(options)).toThrow(
      expect.objectContaining({ code: "invalid_option", message: expect.stringMatching(message) }),
    );
  });

  test("an address that cannot be had is said", async () => {
    const url = await run(createServer({ port: 0 }));
    await expect(createServer({ port: Number(new URL(url).port) }).run()).rejects.toThrow(/EADDRINUSE/);
  });
});
