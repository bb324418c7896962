import http from "node:http";
import { describe, expect, test } from "vitest";
import { createHub, type MillraceOptions } from "../../src/index.js";
import { callHttp1, connectRaw, deferred, json, listen, open, serveHttp1, until, within } from "./support/index.js";

async function serve(options: MillraceOptions = {}) {
  const errors: unknown[] = [];
  const hub = createHub({ authorize: () => ({}), onError: (error) => errors.push(error), ...options });
  return { hub, errors, ...(await serveHttp1(hub)) };
}

const get = (path: string, version = "1.1") => `GET ${path} HTTP/${version}\r\nHost: x\r\n\r\n`;
const publish = (data: string) => {
  const body = JSON.stringify({ data });
  return `POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

describe("HTTP/1.1", () => {
  test.each(["1.1", "1.0"])(
    "a stream for HTTP/%s is delimited by its close: the bytes are the events alone",
    async (version) => {
      const hub = createHub();
      await using server = await serveHttp1(hub);
      const peer = await connectRaw(server.port);
      peer.send(get("/events", version));
      await peer.hears("\r\n\r\n");
      const id = await hub.publish({ data: "x" });
      await peer.hears("data: x\n\n");
      await hub.close();
      await peer.closed;
      const [head = "", body] = peer.heard().split("\r\n\r\n");
      expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\nDate: /);
      expect(head).toMatch(/\r\nConnection: close/);
      expect(head).not.toMatch(/transfer-encoding|content-length/i);
      const blocks = (body ?? "").split("\n\n");
      expect(blocks[0]).toMatch(/^id: [0-9a-z]+-0\nretry: \d+$/);
      expect(blocks[1]).toBe(`id: ${id}\nchannel: general\ndata: x`);
      expect(blocks[2]).toMatch(RegExp(`^id: ${id}\nevent: millrace.close\nretry: \\d+\ndata: `));
      expect(blocks.slice(3)).toEqual([""]);
    },
  );

  test("what is no stream leaves the connection open for the next request", async () => {
    await using server = await serve();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    server.server.on("connection", (socket) => sockets.add(socket));
    const targets = ["/health", "/publish", "/events?mode=poll", "/events?format=x", "/connections", "/health"];
    for (const target of targets) {
      const call = target.startsWith("/publish") ? json({ data: 1 }) : {};
      await (await callHttp1(server.port, target, call, agent)).text();
    }
    expect(sockets.size).toBe(1);
    agent.destroy();
  });

  test("a request that is pipelined behind a stream ends it, and gets no answer into it", async () => {
    await using server = await serve();
    const other = await open(server, "/events");
    const peer = await connectRaw(server.port);
    peer.send(get("/events"));
    await peer.hears("retry: ");
    peer.send(get("/health"));
    await peer.closed;
    expect(peer.heard()).not.toContain('"ok"');
    await until("it is forgotten", () => [...server.hub.connections()].length === 1);
    await server.hub.publish({ data: "still here" });
    expect(await other.events.data(1)).toEqual(["still here"]);
  });

  test("a stream that is pipelined behind an unanswered request does not come before its answer", async () => {
    await using server = await serve();
    const peer = await connectRaw(server.port);
    peer.send(publish("first") + get("/events?rewind=all"));
    await peer.hears('"pipelined"');
    peer.socket.destroy();
    const answers = peer.heard().split(/(?=HTTP\/1\.1 )/);
    expect(answers[0]).toMatch(/^HTTP\/1\.1 200 .*\{"ids":\["[0-9a-z]+-1"\]\}\n$/s);
    expect(answers[1]).toMatch(/^HTTP\/1\.1 400 .*"code":"pipelined"/s);
    expect(server.hub.stats().opened).toBe(0);
  });

  test("a stream that is let in late does not mix with the answer behind it", async () => {
    const admitted = deferred<object>();
    await using server = await serve({
      authorize: (_, { action }) => (action === "subscribe" ? admitted.promise : {}),
    });
    const peer = await connectRaw(server.port);
    peer.send(get("/events") + get("/health"));
    const probe = await callHttp1(server.port, "/health");
    await probe.text();
    admitted.resolve({});
    await peer.hears("retry: ");
    await server.hub.publish({ data: "x" });
    await peer.hears("data: x\n\n");
    expect(peer.heard()).not.toContain('"ok"');
    peer.socket.destroy();
  });

  test("a client that says it has ended has left", async () => {
    await using server = await serve();
    const peer = await connectRaw(server.port, { allowHalfOpen: true });
    peer.send(get("/events"));
    await peer.hears("retry: ");
    expect(server.hub.stats().connections).toBe(1);
    peer.socket.end();
    await peer.closed;
    await until("it is forgotten", () => server.hub.stats().connections === 0);
  });

  test.each(["/events", "/events?mode=poll&rewind=0"])(
    "so has one that ends at once behind its request for %s",
    async (path) => {
      await using server = await serve();
      const peer = await connectRaw(server.port, { allowHalfOpen: true });
      peer.socket.end(get(path));
      await peer.closed;
      await until("it is forgotten", () => server.hub.stats().connections === 0);
      expect(server.errors).toEqual([]);
    },
  );

  test("a publisher that leaves within its body is no error of the hub", async () => {
    await using server = await serve();
    const peer = await connectRaw(server.port);
    peer.send(publish("x").slice(0, -3));
    await until("it is heard", () => server.open() === 1);
    peer.socket.destroy();
    await until("it is over", () => server.open() === 0);
    expect(server.errors).toEqual([]);
    expect(server.hub.log.tail).toBe(0);
  });

  test("a target in absolute form means the same, and its authority is the host", async () => {
    await using server = await serve({ allowedHosts: ["hub.example"] });
    const ask = async (target: string, host: string) => {
      const peer = await connectRaw(server.port);
      peer.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      await peer.closed;
      return peer.heard().slice(9, 12);
    };
    expect(await ask("http://hub.example/health?x=/y", "hub.example")).toBe("200");
    expect(await ask("http://hub.example/health", "evil.example")).toBe("200");
    expect(await ask("http://evil.example/health", "hub.example")).toBe("403");
    expect(await ask("HTTP://hub.example:80/events?format=x", "hub.example")).toBe("400");
    expect(await ask("http://hub.example", "hub.example")).toBe("404");
  });

  test("what the application has set for the answer goes out with a stream, too", async () => {
    const hub = createHub();
    const server = http.createServer((request, response) => {
      response.setHeader("X-Request-Id", "7");
      response.setHeader("Set-Cookie", ["a=1", "b=2"]);
      response.setHeader("Cache-Control", "public");
      response.setHeader("Content-Length", 5);
      void hub.node(request, response);
    });
    const port = await listen(server);
    const peer = await connectRaw(port);
    peer.send(get("/events"));
    await peer.hears("retry: ");
    const head = peer.heard().split("\r\n\r\n")[0]?.split("\r\n") ?? [];
    expect(head).toContain("x-request-id: 7");
    expect(head.filter((line) => line.startsWith("set-cookie"))).toEqual(["set-cookie: a=1", "set-cookie: b=2"]);
    expect(head.filter((line) => /^cache-control/i.test(line))).toEqual([expect.stringContaining("no-store")]);
    expect(head.some((line) => /^content-length/i.test(line))).toBe(false);
    await hub.close({ drainMs: 100 });
    server.close();
  });

  test("a stream outlives the times that requests are given", async () => {
    const hub = createHub({ heartbeatMs: 100 });
    const times = { requestTimeout: 200, headersTimeout: 200, keepAliveTimeout: 200, connectionsCheckingInterval: 50 };
    await using server = await serveHttp1(hub, times);
    const { events } = await open(server, "/events");
    await events.readUntil("many heartbeats", () => events.comments.length >= 8);
    await hub.publish({ data: "still here" });
    expect(await events.data(1)).toEqual(["still here"]);
  });

  test("a body may come in chunks", async () => {
    await using server = await serve();
    const peer = await connectRaw(server.port);
    const head =
      "POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    peer.send(`${head}8\r\n{"data":\r\n`);
    peer.send("2;ext=1\r\n7}\r\n0\r\nX-Trailer: 1\r\n\r\n");
    await peer.hears('{"ids":["');
    peer.socket.destroy();
  });

  test("a body that the application has read before is said, and does not hang", async () => {
    const errors: unknown[] = [];
    const hub = createHub({ authorize: () => ({}), onError: (error) => errors.push(error) });
    const server = http.createServer(async (request, response) => {
      for await (const _ of request);
      await hub.node(request, response);
    });
    const port = await listen(server);
    const answer = await callHttp1(port, "/publish", json({ data: 1 }));
    expect(answer.status).toBe(500);
    await answer.text();
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining("before a body parser") })]);
    await hub.close();
    server.close();
  });

  test("a publisher that left before the application passed its request on is no error", async () => {
    const errors: unknown[] = [];
    const hub = createHub({ authorize: () => ({}), onError: (error) => errors.push(error) });
    const passed = deferred<void>();
    const server = http.createServer((request, response) => {
      request.socket.once("close", () => setImmediate(() => hub.node(request, response).then(() => passed.resolve())));
    });
    const port = await listen(server);
    const peer = await connectRaw(port);
    peer.send(publish("x").slice(0, -3));
    await until("it is heard", () => server.listenerCount("request") > 0 && peer.socket.bytesWritten > 0);
    setTimeout(() => peer.socket.destroy(), 20);
    await within("an end", passed.promise);
    expect(errors).toEqual([]);
    await hub.close();
    server.close();
  });
});
