import http2 from "node:http2";
import { expect, test } from "vitest";
import { createHub, type MillraceOptions } from "../../src/index.js";
import { EventReader } from "./support/events.js";
import { listen, until, within } from "./support/index.js";

async function serve(options: MillraceOptions = {}, prepare: (response: http2.Http2ServerResponse) => void = () => {}) {
  const errors: unknown[] = [];
  const hub = createHub({ authorize: () => ({}), onError: (error) => errors.push(error), ...options });
  let underWay = 0;
  const server = http2.createServer((request, response) => {
    prepare(response);
    underWay++;
    hub.node(request, response).finally(() => underWay--);
  });
  const session = http2.connect(`http://127.0.0.1:${await listen(server)}`);
  return {
    hub,
    errors,
    session,
    underWay: () => underWay,
    [Symbol.asyncDispose]: async () => {
      await hub.close({ drainMs: 100 });
      session.destroy();
      server.close();
    },
  };
}

test("a publisher that leaves within its body is no error of the hub", async () => {
  await using server = await serve();
  const request = server.session.request({
    ":method": "POST",
    ":path": "/publish",
    "content-type": "application/json",
  });
  request.on("error", () => {});
  request.write('{"data":');
  await until("it is heard", () => server.underWay() === 1);
  request.close(http2.constants.NGHTTP2_CANCEL);
  await until("it is over", () => server.underWay() === 0);
  expect(server.errors).toEqual([]);
  expect(server.hub.log.tail).toBe(0);
});

test("bodies under way are bounded in all: further ones are told to come later", async () => {
  await using server = await serve();
  const send = () => {
    const request = server.session.request({
      ":method": "POST",
      ":path": "/publish",
      "content-type": "application/json",
    });
    request.on("error", () => {}).write(Buffer.alloc(1_000_000, " "));
    return request;
  };
  const requests = Array.from({ length: 70 }, send);
  const refused = new Promise<http2.IncomingHttpHeaders>((resolve) => {
    for (const request of requests) request.on("response", resolve);
  });
  const answered = await within("a refusal", refused, 10_000);
  expect(answered[":status"]).toBe(503);
  expect(answered["retry-after"]).toBeDefined();
  for (const request of requests) request.close(http2.constants.NGHTTP2_CANCEL);
  await until("all are over", () => server.underWay() === 0);
  const request = server.session.request({
    ":method": "POST",
    ":path": "/publish",
    "content-type": "application/json",
  });
  request.end('{"data":1}');
  const head = await new Promise<http2.IncomingHttpHeaders>((resolve) => request.on("response", resolve));
  expect(head[":status"]).toBe(200);
  request.close();
});

test("many streams share one connection, and one that stalls holds up no other", async () => {
  await using server = await serve();
  const open = async () => {
    const reader = new EventReader(server.session.request({ ":path": "/events" }));
    await reader.readUntil("the opening block", () => reader.lastEventId !== "");
    return reader;
  };
  const readers = [await open(), await open(), await open()];
  await server.hub.publish({ data: "to all" });
  for (const reader of readers) expect((await reader.next()).data).toBe("to all");
  expect(server.hub.stats().groups).toBe(1);
  server.session.destroy();
  await until("all are forgotten", () => server.hub.stats().connections === 0);
});

test("Host may repeat what :authority says, and nothing else", async () => {
  await using server = await serve({ allowedHosts: ["hub.example"] });
  const ask = (headers: http2.OutgoingHttpHeaders) =>
    new Promise((resolve) => {
      server.session.request({ ":path": "/health", ...headers }).on("response", (head) => resolve(head[":status"]));
    });
  expect(await ask({ ":authority": "hub.example", host: "hub.example" })).toBe(200);
  expect(await ask({ ":authority": "hub.example", host: "evil.example" })).toBe(400);
  expect(await ask({ ":authority": "evil.example", host: "hub.example" })).toBe(400);
  expect(await ask({ host: "hub.example" })).toBe(200);
  expect(await ask({ host: "evil.example" })).toBe(403);
});

test("what the application has set for the answer goes out with a stream, too", async () => {
  await using server = await serve({}, (response) => {
    response.setHeader("X-Request-Id", "7");
    response.setHeader("Content-Length", 5);
  });
  const request = server.session.request({ ":path": "/events" });
  const head = await new Promise<http2.IncomingHttpHeaders>((resolve) => request.on("response", resolve));
  expect(head["x-request-id"]).toBe("7");
  expect(head["content-length"]).toBeUndefined();
  request.close();
});
