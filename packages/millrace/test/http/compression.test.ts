import { randomBytes } from "node:crypto";
import http from "node:http";
import { describe, expect, test } from "vitest";
import { acceptsGzip } from "../../src/http/accept-encoding.js";
import { joinVary } from "../../src/http/headers.js";
import { createHub } from "../../src/index.js";
import { callHttp1, forms, json, listen, open, start, until } from "./support/index.js";

const gzip = { headers: { "accept-encoding": "gzip" } };
const page = "https://app.example";

test.each<[string | undefined, boolean]>([
  [undefined, false],
  ["", false],
  ["gzip", true],
  ["x-gzip", true],
  ["GZip", true],
  ["gzip, deflate, br, zstd", true],
  ["br;q=1.0 ,\tgzip ; q=0.8,, *;q=0.1", true],
  ["gzip;q=0.001", true],
  ["gzip;q=0", false],
  ["gzip;q=0.000, *", false],
  ["*", true],
  ["*;q=0", false],
  ["br, *;q=0", false],
  ["identity", false],
  ["deflate, br", false],
  ["identity;q=1, gzip;q=0.5", false],
  ["identity;q=0.5, gzip", true],
  ["identity, gzip", true],
  ["identity;q=0, gzip;q=0", false],
  // Not well-formed: it says nothing.
  ["gzip;q=2", false],
  ["gzip;q=1.001", false],
  ["gzip;q=0.1234", false],
  ["gzip;q=.5", false],
  ["gzip;q", false],
  ["gzip;level=9", false],
  ["gzip;q=1;q=0", false],
  ["gzip deflate", false],
  ["gzip, b r", false],
  ["gzip, é", false],
])("of Accept-Encoding: %s it is said: %s", (value, accepted) => expect(acceptsGzip(value)).toBe(accepted));

test("of what parts of an answer vary by, each is said once", () => {
  expect(joinVary("Origin", undefined, "Accept-Encoding")).toBe("Origin, Accept-Encoding");
  expect(joinVary(["Cookie", "accept-encoding,  Origin"], "Accept-Encoding")).toBe("Cookie, Accept-Encoding, Origin");
  expect(joinVary(undefined, "")).toBe("");
});

describe.each(forms)("$name", (form) => {
  test("a stream is compressed for who accepts it, and for nobody else", async () => {
    await using hub = await start(form, { compression: true, corsOrigins: [page] });
    const [compressed, plain] = [await open(hub, "/events?channel=a", gzip), await open(hub, "/events?channel=a")];
    expect(compressed.header("content-encoding")).toBe("gzip");
    expect(plain.header("content-encoding")).toBeUndefined();
    for (const answer of [compressed, plain]) expect(answer.header("vary")).toBe("Origin, Accept-Encoding");
    for (let n = 0; n < 5; n++) {
      await hub.call("/publish", json({ channel: "a", data: `event ${n} ${"x".repeat(300)}` }));
      for (const { events } of [compressed, plain]) expect((await events.next()).data).toContain(`event ${n} `);
    }
    expect(hub.hub.stats().groups).toBe(2);
    expect(hub.errors).toEqual([]);
  });

  test("without the option nothing is compressed, and nothing said of it", async () => {
    await using hub = await start(form);
    const { header } = await open(hub, "/events", gzip);
    expect([header("content-encoding"), header("vary")]).toEqual([undefined, undefined]);
  });

  test("a POST for a long selection is as good, and a client that comes back reads what it missed", async () => {
    await using hub = await start(form, { compression: true });
    const first = await open(hub, "/events", json({ channels: ["a"] }, gzip.headers));
    expect(first.header("content-encoding")).toBe("gzip");
    const { lastEventId } = first.events;
    first.leave();
    const texts = Array.from({ length: 500 }, (_, n) => `event ${n}`);
    await hub.hub.publish(texts.map((data) => ({ channel: "a", data })));
    const headers = { ...gzip.headers, "last-event-id": lastEventId };
    const second = await hub.call("/events?channel=a", { headers });
    expect(await second.events.data(500)).toEqual(texts);
  });

  test("long-polls, problems and other answers are as they were", async () => {
    await using hub = await start(form, { compression: true });
    await hub.hub.publish({ data: "x" });
    for (const target of ["/events?mode=poll&rewind=all", "/events?rewind=-1", "/health", "/connections"]) {
      const answer = await hub.call(target, gzip);
      expect([target, answer.header("content-encoding"), answer.header("vary")]).toEqual([
        target,
        undefined,
        undefined,
      ]);
      expect(await answer.text()).not.toBe("");
    }
  });

  test("one that is ended is told why", async () => {
    await using hub = await start(form, { compression: true });
    const { events, header } = await open(hub, "/events", gzip);
    expect(hub.hub.disconnect(header("millrace-connection") as string, { reconnect: false, reason: "enough" })).toBe(
      true,
    );
    expect(await events.rest()).toMatchObject([
      { type: "millrace.close", data: '{"reason":"enough","reconnect":false}' },
    ]);
  });

  test("a client that does not read is behind, and then reads all of it", async () => {
    await using hub = await start(form, { compression: true });
    const { events } = await open(hub, "/events", gzip);
    // Noise, so that it fills the buffers on the way.
    const texts = Array.from({ length: 200 }, (_, n) => `${n} ${randomBytes(75_000).toString("base64")}`);
    for (const data of texts) await hub.hub.publish({ data });
    await until("it is behind", () => [...hub.hub.connections()][0]?.state === "full");
    for (const text of texts) expect((await events.next()).data === text).toBe(true);
    expect(hub.hub.stats().gaps).toBe(0);
  });
});

describe("hub.stream", () => {
  async function serve(prepare: (response: http.ServerResponse) => void = () => {}) {
    const hub = createHub({ compression: true });
    const route = hub.stream(() => "news");
    const server = http.createServer((request, response) => {
      prepare(response);
      void route(request, response);
    });
    const port = await listen(server);
    return {
      hub,
      call: (method = "GET") => callHttp1(port, "/feed", { method, ...gzip }),
      [Symbol.asyncDispose]: async () => {
        await hub.close({ drainMs: 100 });
        server.close();
      },
    };
  }

  test("compresses, and answers HEAD as it did", async () => {
    await using made = await serve();
    const head = await made.call("HEAD");
    expect([head.status, head.header("content-encoding")]).toEqual([200, undefined]);
    const { events, header } = await made.call();
    expect([header("content-encoding"), header("vary")]).toEqual(["gzip", "Accept-Encoding"]);
    await events.readUntil("the opening block", () => events.lastEventId !== "");
    await made.hub.publish({ channel: "news", data: "it runs" });
    expect((await events.next()).data).toBe("it runs");
  });

  test("keeps what the application's own middleware says in Vary", async () => {
    await using made = await serve((response) => response.setHeader("Vary", "Cookie, accept-encoding"));
    expect((await made.call()).header("vary")).toBe("Cookie, Accept-Encoding");
  });

  test("keeps it, too, of middleware that waits for the head", async () => {
    await using made = await serve((response) => {
      response.setHeader("Vary", "Cookie");
      const { writeHead } = response;
      response.writeHead = ((...args: Parameters<typeof writeHead>) => {
        response.appendHeader("Vary", "X-Tenant");
        return writeHead.apply(response, args);
      }) as typeof writeHead;
    });
    const { header, events } = await made.call();
    expect(header("vary")).toBe("Cookie, Accept-Encoding, X-Tenant");
    expect(header("content-encoding")).toBe("gzip");
    await events.readUntil("the opening block", () => events.lastEventId !== "");
  });
});
