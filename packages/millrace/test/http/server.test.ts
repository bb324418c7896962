import { once } from "node:events";
import net from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { createHub, createServer, type MillraceError, type Server } from "../../src/index.js";
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

  test.each(["events", "/a/:", "/a/:b/:b", "/a*", "/a?b=c", ""])("%j is no path", (path) => {
    expect(() => createServer().get(path, () => "")).toThrow(/path is/);
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

  test("an address that cannot be had is said", async () => {
    const url = await run(createServer({ port: 0 }));
    await expect(createServer({ port: Number(new URL(url).port) }).run()).rejects.toThrow(/EADDRINUSE/);
  });
});
