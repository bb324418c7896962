import http2 from "node:http2";
import tls from "node:tls";
import { describe, expect, test } from "vitest";
import { type ListenerOptions, listen } from "../../src/http/index.js";
import { createHub, type Millrace } from "../../src/index.js";
import { certificate } from "./support/certificate.js";
import { callHttp1, connectRaw, until, within } from "./support/index.js";

async function listening(hub: Millrace, options: Partial<ListenerOptions> = {}) {
  const listener = await listen({
    ...options,
    host: "127.0.0.1",
    port: 0,
    onRequest: (request, response) => {
      hub.node(request, response).then((answered) => {
        if (!answered) response.writeHead(404).end();
      });
    },
  });
  return {
    port: Number(new URL(listener.url).port),
    listener,
    [Symbol.asyncDispose]: async () => {
      await hub.close({ drainMs: 100 });
      await listener.close();
    },
  };
}

const hub = () => createHub({ authorize: () => ({}) });
const health = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

describe("one port for HTTP/1.1 and HTTP/2", () => {
  test("tells the two apart by their first bytes", async () => {
    await using server = await listening(hub());
    expect((await callHttp1(server.port, "/health")).status).toBe(200);
    const session = http2.connect(`http://127.0.0.1:${server.port}`);
    const status = await new Promise((resolve) => {
      session.request({ ":path": "/health" }).on("response", (head) => resolve(head[":status"]));
    });
    expect(status).toBe(200);
    session.close();
  });

  // The first byte of POST and of PUT is also that of HTTP/2's preface: the bytes were put back, seen again, put back.
  test.each(["P", "PR", "PRI * HTTP/2."])("a peer that has said %j and no more holds up nobody", async (beginning) => {
    await using server = await listening(hub());
    const slow = await connectRaw(server.port);
    slow.send(beginning);
    for (let i = 0; i < 5; i++) expect((await callHttp1(server.port, "/health")).status).toBe(200);
    slow.socket.destroy();
    await slow.closed;
  });

  // The publish was kept, and answered with the 400 of what came behind it: its publisher would have sent it again.
  test.each(["GARBAGE\r\n\r\n", 'POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n{"data":"b"}'])(
    "what is kept is answered so, whatever comes behind it: %j",
    async (behind) => {
      const publish =
        'POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"data":"a"}';
      for (const front of [true, false]) {
        for (const before of ["", health]) {
          const own = hub();
          await using server = await listening(own, front ? { onFront: own.front } : {});
          const peer = await connectRaw(server.port);
          peer.send(before + publish + behind);
          await within("the end of the connection", peer.closed);
          const answers = peer
            .heard()
            .split(/(?=HTTP\/1\.1 )/)
            .filter((answer) => !answer.includes('"status":"ok"'));
          expect(answers.map((answer) => answer.slice(9, 12))).toEqual(["200"]);
          expect(answers[0]).toContain(own.position());
          expect(own.stats().published).toBe(1);
        }
      }
    },
  );

  test("a request may come byte by byte", async () => {
    await using server = await listening(hub());
    const slow = await connectRaw(server.port, { noDelay: true });
    const request =
      'POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"data":1}';
    for (const byte of request) {
      slow.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await slow.hears('{"ids":[');
    slow.send(health);
    await slow.hears('{"status":"ok"}');
    slow.socket.destroy();
  });

  test("a peer that leaves within the preface is forgotten", async () => {
    await using server = await listening(hub());
    const peer = await connectRaw(server.port, { allowHalfOpen: true });
    peer.send("PRI * HT");
    peer.socket.end();
    await peer.closed;
    expect(peer.heard()).toBe("");
  });

  test("what is no HTTP is told so", async () => {
    await using server = await listening(hub());
    const peer = await connectRaw(server.port);
    peer.send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n");
    await peer.closed;
    expect(peer.heard()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(JSON.parse(peer.heard().split("\r\n\r\n")[1] ?? "")).toMatchObject({ status: 400 });
  });

  test("a head beyond 16 KiB is answered 431, with what to do", async () => {
    await using server = await listening(hub());
    const peer = await connectRaw(server.port);
    peer.send(`GET /events?channel=${"x".repeat(17_000)} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await peer.closed;
    expect(peer.heard()).toMatch(/^HTTP\/1\.1 431 .*POST \/events/s);
  });

  test("close ends streams of both", async () => {
    const made = hub();
    await using server = await listening(made);
    const one = await connectRaw(server.port);
    one.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    await one.hears("\nid: ");
    const session = http2.connect(`http://127.0.0.1:${server.port}`);
    session.on("error", () => {});
    const stream = session.request({ ":path": "/events" });
    stream.on("error", () => {});
    await until("both are there", () => made.stats().connections === 2);
    await server.listener.close();
    await one.closed;
    await until("both are gone", () => made.stats().connections === 0);
  });
});

/** Says something over TLS; resolves when the connection has ended. */
async function connectTls(port: number, protocol: string, bytes: string | Buffer) {
  const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: [protocol] });
  socket.on("error", () => socket.destroy()).resume();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await within("TLS", new Promise<void>((resolve) => socket.once("secureConnect", resolve)));
  socket.write(bytes);
  return { socket, closed };
}

const unfinishedHead = "GET /health HTTP/1.1\r\nHost: x\r\n";
const unfinishedBody =
  "POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{";

describe("what a peer leaves unfinished", () => {
  const pem = certificate();

  test("over TLS, close() waits for none of it", async () => {
    const made = hub();
    await using server = await listening(made, { tls: pem });
    const silent = await connectRaw(server.port);
    const body = await connectTls(server.port, "http/1.1", unfinishedBody);
    const head = await connectTls(server.port, "http/1.1", unfinishedHead);
    const stream = await connectTls(server.port, "http/1.1", "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("the stream is there", () => made.stats().connections === 1);
    await within("close", server.listener.close(), 2000);
    await within("the end of all", Promise.all([silent, body, head, stream].map(({ closed }) => closed)));
  });

  test("without TLS, close() waits for none of it", async () => {
    await using server = await listening(hub());
    const silent = await connectRaw(server.port);
    const body = await connectRaw(server.port);
    body.send(unfinishedBody);
    const preface = await connectRaw(server.port);
    preface.send("PRI * HTTP/2.0\r\n");
    expect((await callHttp1(server.port, "/health")).status).toBe(200);
    await within("close", server.listener.close(), 2000);
    await within("the end of all", Promise.all([silent, body, preface].map(({ closed }) => closed)));
  });

  test.each([true, false])("a handshake and a head have their time, TLS: %s", async (secure) => {
    await using server = await listening(hub(), { headMs: 200, ...(secure ? { tls: pem } : {}) });
    const silent = await connectRaw(server.port);
    await within("the end of the silent one", silent.closed);
    const connect = secure
      ? (bytes: string) => connectTls(server.port, "http/1.1", bytes)
      : async (bytes: string) => {
          const raw = await connectRaw(server.port);
          raw.send(bytes);
          return raw;
        };
    await within("the end of the unfinished head", (await connect(unfinishedHead)).closed);
  });
});
