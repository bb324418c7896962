import http2 from "node:http2";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { listen } from "../../src/http/index.js";
import { createHub } from "../../src/index.js";
import { hostileRequests } from "./hostile-requests.js";
import { EventReader } from "./support/events.js";
import { type Answer, callHttp1, connectRaw, json, open, type RawClient, until, within } from "./support/index.js";

const errors: unknown[] = [];
const hub = createHub({ authorize: () => ({}), allowedHosts: [], onError: (error) => errors.push(error) });
let port = 0;
let close = async () => {};
let bystander: Answer;
let ticks = 0;
const slow: { what: string; peer: RawClient; sinceMs: number }[] = [];

beforeAll(async () => {
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    onRequest: (request, response) => {
      hub.node(request, response).then((answered) => {
        if (!answered) response.writeHead(404).end();
      });
    },
  });
  port = Number(new URL(listener.url).port);
  close = async () => {
    await hub.close({ drainMs: 100 });
    await listener.close();
  };
  bystander = await open({ call: (target, call) => callHttp1(port, target, call), open: () => 0 }, "/events?channel=*");
  for (const [what, bytes] of [
    ["nothing at all", ""],
    ["half a head", "GET /events HTTP/1.1\r\nHost: local"],
    ["a head without its end", "GET /events HTTP/1.1\r\nHost: localhost\r\n"],
    ["half a preface", "PRI * HT"],
  ] as const) {
    const peer = await connectRaw(port);
    peer.send(bytes);
    slow.push({ what, peer, sinceMs: performance.now() });
  }
});

afterAll(() => close());

let peer: RawClient;
afterEach(() => void peer?.socket.destroy());

/** The bystander hears what is published, and nothing else: no hostile request has published or disturbed anything. */
async function undisturbed(): Promise<void> {
  const data = `tick ${++ticks}`;
  await hub.publish({ data });
  expect(await bystander.events.next()).toMatchObject({ data, channel: "general", type: "message" });
  await until("only the bystander is left", () => hub.stats().connections === 1);
  expect(errors).toEqual([]);
}

describe("hostile requests", () => {
  test.each(hostileRequests)("$what: $status", async ({ send, status, bare = false, ends = false }) => {
    peer = await connectRaw(port, { allowHalfOpen: ends });
    if (ends) peer.socket.end(Buffer.from(send, "latin1"));
    else peer.send(send);
    if (status === 0) {
      await within("the end of the connection", peer.closed);
      expect(peer.heard()).toBe("");
    } else {
      await peer.hears("\r\n\r\n");
      const [head = ""] = peer.heard().split("\r\n\r\n");
      expect(head).toMatch(RegExp(`^HTTP/1\\.1 ${status} `));
      if (!bare) {
        expect(head).toMatch(/\r\ncontent-type: application\/problem\+json(\r\n|$)/i);
        await peer.hears("}\n");
        const problem = JSON.parse(
          peer
            .heard()
            .slice(head.length + 4)
            .split("\n")[0] ?? "",
        );
        expect(problem).toMatchObject({
          status,
          type: "about:blank",
          title: expect.any(String),
          code: expect.any(String),
        });
        expect(problem.detail.length).toBeGreaterThan(20);
      }
      peer.socket.destroy();
    }
    await undisturbed();
  });

  test("names in raw UTF-8 mean what they say over HTTP/2, and are refused over HTTP/1.1 with what to do", async () => {
    peer = await connectRaw(port);
    peer.send(Buffer.from("GET /events?channel=café HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    await peer.hears("encodeURIComponent");
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const stream = session.request({ ":path": Buffer.from("/events?channel=café").toString("latin1") });
    const reader = new EventReader(stream);
    await reader.readUntil("the opening block", () => reader.lastEventId !== "");
    await hub.publish({ channel: "café", data: "for her" });
    expect((await reader.next()).data).toBe("for her");
    session.destroy();
    await bystander.events.next();
    await undisturbed();
  });

  test("publishes that look odd and are right are data, and only data", async () => {
    const odd = ["\n\ndata: forged\nid: x\n\nevent: y", { __proto__: 1, "a\nb": "\r" }, "\u2028\u0085\ufeff\0"];
    const body = json([...odd.map((data) => ({ data })), { data: JSON.parse('{"__proto__":{"polluted":1}}') }]);
    expect((await callHttp1(port, "/publish", body)).status).toBe(200);
    expect((await bystander.events.next()).data).toBe("\n\ndata: forged\nid: x\n\nevent: y");
    expect((await bystander.events.next()).data).toBe(JSON.stringify(odd[1]));
    expect((await bystander.events.next()).data).toBe("\u2028\u0085\ufeff\0");
    expect((await bystander.events.next()).data).toBe('{"__proto__":{"polluted":1}}');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    await undisturbed();
  });

  test("a hundred at once that leave in the middle", async () => {
    const peers = await Promise.all(Array.from({ length: 100 }, () => connectRaw(port)));
    for (const [at, peer] of peers.entries()) {
      const { send } = hostileRequests[at % hostileRequests.length] as (typeof hostileRequests)[number];
      peer.send(at % 3 ? send.slice(0, send.length / 2) : "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
      if (at % 2) peer.socket.resetAndDestroy();
      else setImmediate(() => peer.socket.destroy());
    }
    await Promise.all(peers.map(({ closed }) => closed));
    await undisturbed();
  });

  test("a head that does not end is closed within 20 seconds", { timeout: 30_000 }, async () => {
    for (const { what, peer, sinceMs } of slow) {
      await within(what, peer.closed, 25_000);
      expect(performance.now() - sinceMs).toBeLessThan(20_500);
      if (peer.heard() !== "") expect(peer.heard()).toMatch(/^HTTP\/1\.1 408 /);
    }
    await undisturbed();
  });
});
