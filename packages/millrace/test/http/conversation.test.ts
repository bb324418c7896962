import { afterEach, describe, expect, test } from "vitest";
import { connectRaw, deferred, type RawClient, until, within } from "./support/index.js";
import { serve } from "./support/pair.js";

const body = (data: unknown) => JSON.stringify({ data });
const publish = (text = body("one"), ...lines: string[]) =>
  [
    "POST /publish HTTP/1.1",
    "Host: localhost",
    "Content-Type: application/json",
    `Content-Length: ${text.length}`,
    ...lines,
    "",
    text,
  ].join("\r\n");
const health = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
const events = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";

const peers: RawClient[] = [];
afterEach(() => {
  for (const { socket } of peers.splice(0)) socket.destroy();
});
async function connect(server: { port: number }): Promise<RawClient> {
  const peer = await connectRaw(server.port, { noDelay: true });
  peers.push(peer);
  return peer;
}

const statuses = (peer: RawClient) =>
  [...peer.heard().matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
const answered = (peer: RawClient, count: number) =>
  until(`${count} answers, not ${JSON.stringify(peer.heard())}`, () => {
    const ends = peer.heard().match(/\}\n/g)?.length ?? 0;
    return statuses(peer).length === count && ends === count;
  });
/** The data of all that was published, in order. */
async function published(server: Awaited<ReturnType<typeof serve>>): Promise<string[]> {
  const data: string[] = [];
  const { tail } = server.hub.log;
  if (tail === 0) return data;
  for await (const event of server.hub.subscribe({ channels: ["*"], rewind: "all" })) {
    data.push(event.data as string);
    if (data.length === tail) break;
  }
  return data;
}

describe("publishes on one connection", () => {
  test("follow each other, each answered as node:http answers", async () => {
    await using front = await serve(true);
    await using plain = await serve(false);
    const heads = async (server: typeof front) => {
      const peer = await connect(server);
      const sent = [publish(), publish("{"), publish(body("two"), "Idempotency-Key: a"), publish(body("three"))];
      for (const [at, text] of sent.entries()) {
        peer.send(text);
        await answered(peer, at + 1);
      }
      return peer
        .heard()
        .split("HTTP/1.1 ")
        .slice(1)
        .map((answer) => {
          const [head = ""] = answer.split("\r\n\r\n");
          const [status, ...lines] = head.split("\r\n");
          const fields = lines.map((line) => line.replace(/:.*(?<=Date:.*|position:.*|length:.*)/i, "").toLowerCase());
          return [status, ...fields.sort()];
        });
    };
    expect(await heads(front)).toEqual(await heads(plain));
    expect(front.taken()).toBe(4);
    expect(await published(front)).toEqual(["one", "two", "three"]);
  });

  test("the first that is something else, and all behind it, are node:http's", async () => {
    await using server = await serve(true);
    const peer = await connect(server);
    for (const [at, text] of [publish(), publish(), health, publish(), health, publish("{")].entries()) {
      peer.send(text);
      await answered(peer, at + 1);
    }
    expect(statuses(peer)).toEqual([200, 200, 200, 200, 200, 400]);
    expect(server.taken()).toBe(2);
    peer.send("nonsense\r\n\r\n");
    await within("the end", peer.closed);
  });

  test("a stream may follow them", async () => {
    await using server = await serve(true);
    const peer = await connect(server);
    peer.send(publish());
    await answered(peer, 1);
    peer.send(events);
    await peer.hears("\nid: ");
    expect(server.taken()).toBe(2);
    await server.hub.publish({ data: "to the stream" });
    await peer.hears("data: to the stream\n\n");
    peer.send(publish(body("behind a stream")));
    await within("the end", peer.closed);
    expect(await published(server)).toEqual(["one", "to the stream"]);
  });

  test.each([
    ["together", [[publish(body("a")), publish(body("b")), health, publish(body("c"))].join("")]],
    ["one behind the other", [publish(body("a")), publish(body("b")), health, publish(body("c"))]],
    [
      "cut within the second",
      [`${publish(body("a"))}POST /pub`, `${publish(body("b")).slice(9)}${health}`, publish(body("c"))],
    ],
    [
      "cut within the first",
      [publish(body("a")).slice(0, -3), publish(body("a")).slice(-3) + publish(body("b")) + health, publish(body("c"))],
    ],
  ])("pipelined %s, they are answered in order", async (_how, pieces) => {
    const asked = deferred<object>();
    await using server = await serve(true, { authorize: () => asked.promise });
    const peer = await connect(server);
    for (const piece of pieces) {
      peer.send(piece);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    asked.resolve({});
    await answered(peer, 4);
    expect(statuses(peer)).toEqual([200, 200, 200, 200]);
    expect(peer.heard().indexOf('"ok"')).toBeGreaterThan(peer.heard().indexOf("ids", peer.heard().indexOf("ids") + 1));
    expect(await published(server)).toEqual(["a", "b", "c"]);
  });

  test("the same head with another body, and one as long that is another", async () => {
    await using server = await serve(true);
    const peer = await connect(server);
    const other = publish(body("one"), "X-User: nobody").replace("X-User: nobody", "X-User: mallory");
    const sent = [
      publish(body("aaa")),
      publish(body("bbb")),
      publish(body("cccc")),
      publish(body("ddd"), "X-User: annette"),
      other,
    ];
    for (const [at, text] of sent.entries()) {
      peer.send(text);
      await answered(peer, at + 1);
    }
    expect(statuses(peer)).toEqual([200, 200, 200, 200, 403]);
    expect(await published(server)).toEqual(["aaa", "bbb", "cccc", "ddd"]);
  });
});

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("a body", () => {
  test("may come byte by byte, also after another request", async () => {
    await using server = await serve(true, { limits: { bodyMs: 10_000 } });
    const peer = await connect(server);
    for (const [at, data] of ["first", "second"].entries()) {
      const text = publish(body(data));
      const headEnd = text.indexOf("\r\n\r\n") + 4;
      peer.send(text.slice(0, headEnd));
      for (const byte of text.slice(headEnd)) {
        await wait(1);
        peer.send(byte);
      }
      await answered(peer, at + 1);
    }
    expect(server.taken()).toBe(2);
    expect(await published(server)).toEqual(["first", "second"]);
  });

  test("of many reads", async () => {
    await using server = await serve(true);
    const peer = await connect(server);
    const text = "x".repeat(900_000);
    for (const at of [1, 2, 3]) {
      peer.send(publish(body(text)));
      await answered(peer, at);
    }
    expect(statuses(peer)).toEqual([200, 200, 200]);
    expect((await published(server)).map(({ length }) => length)).toEqual([900_000, 900_000, 900_000]);
  });

  test("that is somewhat too large is read on and refused, and the connection goes on", async () => {
    await using server = await serve(true, { limits: { bodyBytes: 1000 } });
    const peer = await connect(server);
    peer.send(publish(body("x".repeat(2000))));
    await answered(peer, 1);
    peer.send(publish());
    await answered(peer, 2);
    peer.send(publish(body("x".repeat(9000))).slice(0, 1000));
    await within("the end", peer.closed);
    expect(statuses(peer)).toEqual([413, 200, 413]);
    expect(await published(server)).toEqual(["one"]);
  });

  test.each([true, false])("that does not come is answered 408, front: %s", async (front) => {
    await using server = await serve(front);
    const peer = await connect(server);
    peer.send(publish());
    await answered(peer, 1);
    peer.send(publish().slice(0, -3));
    await within("the end", peer.closed);
    expect(statuses(peer)).toEqual([200, 408]);
    expect(await published(server)).toEqual(["one"]);
  });

  test.each([true, false])("that ends in its middle is refused, front: %s", async (front) => {
    await using server = await serve(front);
    const peer = await connect(server);
    peer.socket.end(publish().slice(0, -3));
    await within("the end", peer.closed);
    expect(statuses(peer)).toEqual([400]);
    const later = await connect(server);
    later.send(publish());
    await answered(later, 1);
    later.socket.end(publish().slice(0, -3));
    await within("the end", later.closed);
    expect(statuses(later)).toEqual([200]);
    expect(await published(server)).toEqual(["one"]);
  });

  test("whose client is gone is nobody's error", async () => {
    const errors: unknown[] = [];
    await using server = await serve(true, { onError: (error) => errors.push(error) });
    const peer = await connect(server);
    peer.send(publish().slice(0, -3));
    await until("it is asked", () => server.taken() === 1);
    peer.socket.resetAndDestroy();
    const other = await connect(server);
    other.send(publish());
    await answered(other, 1);
    expect(errors).toEqual([]);
    expect(await published(server)).toEqual(["one"]);
  });
});

describe("the end of a connection", () => {
  test("comes with the answer to the last request on it", async () => {
    await using server = await serve(true);
    const peer = await connect(server);
    peer.send(publish(body("one"), "Connection: close"));
    await within("the end", peer.closed);
    expect(peer.heard()).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\nConnection: close\r\n/s);
  });

  test("waits for the answer to a client that has half-closed", async () => {
    const asked = deferred<object>();
    await using server = await serve(true, { authorize: () => asked.promise });
    const peer = await connect(server);
    peer.socket.end(publish());
    await until("it is asked", () => server.taken() === 1);
    await wait(20);
    asked.resolve({});
    await within("the end", peer.closed);
    expect(statuses(peer)).toEqual([200]);
  });

  test("follows that of a client that has been answered", async () => {
    await using server = await serve(true);
    const peer = await connect(server);
    peer.send(publish());
    await answered(peer, 1);
    peer.socket.end();
    await within("the end", peer.closed);
  });

  test.each([true, false])("comes when nothing is asked for long, front: %s", async (front) => {
    await using server = await serve(front, {}, { idleMs: 1000, headMs: 200 });
    const peer = await connect(server);
    for (const count of [1, 2]) {
      await wait(400 * (count - 1));
      peer.send(publish());
      await answered(peer, count);
    }
    expect(peer.heard()).toContain("Keep-Alive: timeout=1\r\n");
    const sinceMs = performance.now();
    await within("the end", peer.closed);
    expect(performance.now() - sinceMs).toBeGreaterThan(700);
  });

  test("stop() closes those that ask nothing, and finishes the others", async () => {
    const asked = deferred<object>();
    await using server = await serve(true, { authorize: (request) => (request.header("x-slow") ? asked.promise : {}) });
    const [idle, busy] = [await connect(server), await connect(server)];
    idle.send(publish());
    await answered(idle, 1);
    busy.send(publish(body("slow"), "X-Slow: yes"));
    await until("it is asked", () => server.taken() === 2);
    server.listener.stop();
    await within("the end of the idle one", idle.closed);
    asked.resolve({});
    await within("the end of the other", busy.closed);
    expect(busy.heard()).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\nConnection: close\r\n/s);
    expect(await published(server)).toEqual(["one", "slow"]);
  });

  test("close() ends them all", async () => {
    await using server = await serve(true, { authorize: () => new Promise(() => {}) });
    const [body, busy] = [await connect(server), await connect(server)];
    body.send(publish().slice(0, -3));
    busy.send(publish());
    await until("both are asked", () => server.taken() === 2);
    await within("close", server.listener.close());
    await within("the end", Promise.all([body.closed, busy.closed]));
  });

  test("an error inside is answered 500, told, and ends nothing", async () => {
    const errors: unknown[] = [];
    const mistake = new Error("a mistake");
    await using server = await serve(true, {
      onError: (error) => errors.push(error),
      authorize: (request) => {
        if (request.header("x-user")) throw mistake;
        return {};
      },
    });
    const peer = await connect(server);
    peer.send(publish(body("one"), "X-User: ann"));
    await answered(peer, 1);
    peer.send(publish());
    await answered(peer, 2);
    expect(statuses(peer)).toEqual([500, 200]);
    expect(errors).toEqual([mistake]);
  });
});
