/** The fault server, seen by plain `fetch` and by the clients that it is made for. */
import http from "node:http";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { connect } from "../../src/client/index.js";
import { createHub } from "../../src/index.js";
import {
  collect,
  type FaultServerOptions,
  type ScriptedAnswer,
  startFaultServer,
  until,
} from "../../src/testing/index.js";

async function start(options: FaultServerOptions = {}) {
  const server = await startFaultServer(options);
  onTestFinished(() => server.close());
  return server;
}

/** What `fetch` hands over of a body, piece by piece; `failed` when it does not end in order. */
async function piecesOf(response: Response): Promise<string[]> {
  const pieces: string[] = [];
  const decoder = new TextDecoder();
  try {
    for await (const bytes of response.body ?? []) pieces.push(decoder.decode(bytes));
  } catch {
    pieces.push("failed");
  }
  return pieces;
}

/** Reads along, and shows what has come so far. */
function read(response: Response): { text: string; over: string | undefined } {
  const seen: { text: string; over: string | undefined } = { text: "", over: undefined };
  const decoder = new TextDecoder();
  void (async () => {
    try {
      for await (const bytes of response.body ?? []) seen.text += decoder.decode(bytes);
      seen.over = "ended";
    } catch {
      seen.over = "failed";
    }
  })();
  return seen;
}

async function startHub() {
  const hub = createHub({ authorize: () => ({}), retryMs: 0 });
  const server = await start({ target: hub.listener });
  onTestFinished(() => hub.close({ drainMs: 0 }));
  const stream = connect(`${server.origin}/events?channel=n`, { backoff: { baseMs: 5, maxMs: 20 }, fallback: false });
  onTestFinished(() => stream.close());
  const datas: unknown[] = [];
  stream.on("*", ({ data }) => void datas.push(data));
  await until(() => stream.state === "open" && stream.lastEventId !== "");
  let n = 0;
  const publish = () => hub.publish({ channel: "n", data: n++ });
  return { hub, server, stream, datas, publish };
}

test("answers in turn, then 204, and keeps what was asked", async () => {
  const server = await start();
  const requests = server.script("/events", [
    { status: 503, headers: { "Retry-After": "1" } },
    { body: ["data: 1\n\n"] },
  ]);
  const first = await fetch(`${server.origin}/events?a=b`);
  expect([first.status, first.headers.get("retry-after")]).toEqual([503, "1"]);
  const second = await fetch(`${server.origin}/events`, { method: "POST", headers: { "X-A": "b" }, body: '{"é":1}' });
  expect([second.status, second.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  expect(await second.text()).toBe("data: 1\n\n");
  const third = await fetch(`${server.origin}/events`);
  expect([third.status, third.headers.get("content-type")]).toEqual([204, null]);
  expect(requests).toMatchObject([
    { method: "GET", path: "/events?a=b", body: "" },
    { method: "POST", path: "/events", headers: { "x-a": "b" }, body: '{"é":1}' },
    { method: "GET", path: "/events" },
  ]);
  expect(server.requests).toEqual(requests);
  expect((requests[1]?.atMs ?? 0) > (requests[0]?.atMs ?? 0)).toBe(true);
  await until(() => requests.every(({ closed }) => closed));
});

test("a function answers each request, and a script with a query is for that one alone", async () => {
  const server = await start();
  server.script("/a", ({ headers }) => ({ headers: { "content-type": "" }, body: [`${headers["x-n"]}`] }));
  server.script("/a?b", ["cut"]);
  expect(await (await fetch(`${server.origin}/a`, { headers: { "x-n": "7" } })).text()).toBe("7");
  await expect(fetch(`${server.origin}/a?b`)).rejects.toThrow("fetch failed");
  server.script("/a", () => {
    throw new Error("the script's own");
  });
  const failed = await fetch(`${server.origin}/a`);
  expect([failed.status, await failed.json()]).toEqual([500, { status: 500, detail: "the script's own" }]);
});

test("pages of other origins may ask and read, and a preflight uses up no answer", async () => {
  const server = await start();
  const requests = server.script("/", [{}, { headers: { "Access-Control-Allow-Origin": "" } }]);
  const headers = { origin: "http://page.test" };
  const asking = { "access-control-request-method": "POST", "access-control-request-headers": "authorization" };
  const preflight = await fetch(server.origin, { method: "OPTIONS", headers: { ...headers, ...asking } });
  expect([preflight.status, Object.fromEntries(preflight.headers)]).toMatchObject([
    204,
    { "access-control-allow-origin": "http://page.test", "access-control-allow-headers": "authorization" },
  ]);
  expect((await fetch(server.origin, { headers })).headers.get("access-control-allow-origin")).toBe("http://page.test");
  expect((await fetch(server.origin, { headers })).headers.get("access-control-allow-origin")).toBe(null);
  expect(requests).toHaveLength(2);
});

test("what has no script is said to have none", async () => {
  const server = await start();
  const response = await fetch(`${server.origin}/other`);
  expect(response.status).toBe(404);
  expect(((await response.json()) as { detail: string }).detail).toContain('server.script("/other", ');
});

test.each<[string, ScriptedAnswer, string[]]>([
  ["pieces come one by one, with pauses", { body: ["a", 30, new Uint8Array([98]), 30, "c"] }, ["a", "b", "c"]],
  ["a cut answer is not whole", { body: ["a"], finish: "cut" }, ["a", "failed"]],
  ["held answers come at once", { body: ["a", 20, "b"], holdBytes: Infinity }, ["ab"]],
  ["held answers come when there is enough", { body: ["a", 10, "b", 30, "c"], holdBytes: 2 }, ["ab", "c"]],
])("%s", async (_, answer, pieces) => {
  const server = await start();
  server.script("/", [answer]);
  expect(await piecesOf(await fetch(server.origin))).toEqual(pieces);
});

test("a trickle parts characters and line ends, and nothing of them is lost", async () => {
  const server = await start();
  const text = "\ufeffid: é\r\ndata: €\r\ndata: 𝄞\r\n\r\n";
  server.script("/", [{ body: [text], trickle: { bytes: 1, everyMs: 2 } }]);
  const response = await fetch(server.origin);
  const chunks: Uint8Array[] = [];
  for await (const bytes of response.body ?? []) chunks.push(bytes);
  expect(chunks.length).toBeGreaterThan(Buffer.byteLength(text) / 2);
  expect(Buffer.concat(chunks).toString()).toBe(text);
});

test("what is held has its length: no head comes before it", async () => {
  const server = await start();
  server.script("/", [
    { body: ["data: 1\n\n", 40], holdBytes: Infinity },
    { body: ["a"], finish: "stall", holdBytes: 2 },
  ]);
  const startMs = performance.now();
  const response = await fetch(server.origin);
  expect(performance.now() - startMs).toBeGreaterThan(35);
  expect(response.headers.get("content-length")).toBe("9");
  await expect(fetch(server.origin, { signal: AbortSignal.timeout(50) })).rejects.toThrow("timeout");
});

test("a request without an answer stays open until its client goes", async () => {
  const server = await start();
  const requests = server.script("/", ["stall", { finish: "stall" }]);
  await expect(fetch(server.origin, { signal: AbortSignal.timeout(30) })).rejects.toThrow("timeout");
  const controller = new AbortController();
  const { status } = await fetch(server.origin, { signal: controller.signal });
  expect(status).toBe(200);
  expect(requests[1]?.closed).toBe(false);
  controller.abort();
  await until(() => requests.every(({ closed }) => closed));
});

test("mistakes in a script are said at once", async () => {
  const server = await start();
  const wrong =
    (answer: unknown, path = "/") =>
    () =>
      server.script(path, [answer as ScriptedAnswer]);
  expect(wrong({ finish: "brake" })).toThrow('finish is "brake": it is end, stall or cut');
  expect(wrong({ statuz: 200 })).toThrow('an answer has no option "statuz"');
  expect(wrong({ status: 42_000 })).toThrow("status");
  expect(wrong({ body: [{}] })).toThrow("a piece of a body");
  expect(wrong({ trickle: { bytes: 0 } })).toThrow("trickle.bytes");
  expect(wrong("drop")).toThrow('"cut", "stall" or "pass"');
  expect(wrong("pass")).toThrow("startFaultServer({ target })");
  expect(wrong({}, "events")).toThrow("begins with a slash");
  expect(() => server.script("/", {} as never)).toThrow("a list, or a function");
  await expect(startFaultServer({ target: "https://example.org" })).rejects.toThrow("http://127.0.0.1:4000");
  await expect(startFaultServer({ target: "http://127.0.0.1/events" })).rejects.toThrow("without a path");
  await expect(startFaultServer({ port: 1 } as never)).rejects.toMatchObject({ code: "invalid_option" });
});

test("in front of a server: cuts lose nothing and double nothing", async () => {
  const { server, datas, publish } = await startHub();
  for (let n = 0; n < 60; n++) {
    await publish();
    if (n % 10 === 0) server.cut();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await until(() => datas.length >= 60);
  expect(datas).toEqual(datas.map((_, n) => n));
  expect(server.requests.length).toBeGreaterThan(3);
});

test("in front of a server: requests, answers and their headers pass as they are", async () => {
  let got: unknown;
  const server = await start({
    target: (request, response) => {
      got = [request.method, request.url, request.headers["x-a"], request.headers.connection, request.headers.host];
      response.writeHead(201, { "set-cookie": ["a=1", "b=2"], "content-type": "text/plain" });
      request.pipe(response);
    },
  });
  const response = await fetch(`${server.origin}//x?a=%2F`, { method: "PUT", headers: { "X-A": "b" }, body: "text" });
  expect([response.status, response.headers.getSetCookie(), await response.text()]).toEqual([
    201,
    ["a=1", "b=2"],
    "text",
  ]);
  expect(response.headers.get("connection")).toBe("keep-alive");
  expect(got).toEqual(["PUT", "//x?a=%2F", "b", "close", new URL(server.origin).host]);
});

test("in front of a server: scripts come first, and what they do not answer passes", async () => {
  const server = await start({ target: (_, response) => void response.end("real") });
  server.script("/", ["pass", { status: 500 }]);
  const answers: [number, string][] = [];
  for (let n = 0; n < 3; n++) {
    const response = await fetch(server.origin);
    answers.push([response.status, await response.text()]);
  }
  expect(answers).toEqual([
    [200, "real"],
    [500, ""],
    [200, "real"],
  ]);
});

test("stalls, and goes on with all that was said meanwhile", async () => {
  const { server, stream, datas, publish } = await startHub();
  server.stall();
  await publish();
  const before = server.requests.length;
  const asked = fetch(`${server.origin}/health`);
  await until(() => server.requests.length > before);
  server.stall();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(datas).toEqual([]);
  expect(stream.state).toBe("open");
  server.resume();
  await until(() => datas.length === 1);
  expect((await asked).status).toBe(200);
});

test("not even a head comes while it stalls", async () => {
  const server = await start();
  server.script("/", [{ body: ["data: 1\n\n"] }]);
  server.stall();
  let answered = false;
  const asked = fetch(server.origin).then((response) => {
    answered = true;
    return response.text();
  });
  await until(() => server.requests.length === 1);
  server.stall();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(answered).toBe(false);
  server.resume();
  expect(await asked).toBe("data: 1\n\n");
});

test("a stalled stream is left by a client that knows the heartbeat", async () => {
  const hub = createHub({ authorize: () => ({}), retryMs: 0, heartbeatMs: 30 });
  const server = await start({ target: hub.listener });
  onTestFinished(() => hub.close({ drainMs: 0 }));
  const stream = connect(`${server.origin}/events?channel=n`, { backoff: { baseMs: 5, maxMs: 5 }, fallback: false });
  onTestFinished(() => stream.close());
  await until(() => stream.state === "open");
  server.stall();
  await until(() => stream.status.error?.code === "timed_out");
  server.resume();
  await until(() => stream.state === "open");
});

test("holds back what has no end, and hands it over when it is told to", async () => {
  const { server, hub, datas, publish } = await startHub();
  server.hold();
  await publish();
  // A whole answer passes, with its length.
  expect((await fetch(`${server.origin}/health`)).status).toBe(200);
  expect(datas).toEqual([]);
  server.resume();
  await until(() => datas.length === 1);
  server.hold(300);
  await publish();
  expect(hub.stats().connections).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(datas).toHaveLength(1);
  for (let n = 0; n < 20; n++) await publish();
  await until(() => datas.length > 10);
  server.resume();
  await until(() => datas.length === 22);
  expect(datas).toEqual(datas.map((_, n) => n));
});

test("trickles, and cuts after so many bytes", async () => {
  const server = await start({
    target: (_, response) => void response.writeHead(200).write("0123456789".repeat(10)),
  });
  server.trickle({ bytes: 7, everyMs: 3 });
  const slow = read(await fetch(server.origin));
  await until(() => slow.text.length > 7 && slow.text.length < 100);
  await until(() => slow.text.length === 100);
  expect(slow.over).toBeUndefined();
  server.cutAfter(42);
  const cut = read(await fetch(server.origin));
  await until(() => cut.over !== undefined);
  expect([cut.text.length <= 42, cut.over]).toEqual([true, "failed"]);
  server.resume();
  const whole = read(await fetch(server.origin));
  await until(() => whole.text.length === 100);
  // It has had more than that: no byte more.
  server.cutAfter(50);
  await until(() => whole.over === "failed");
  expect(whole.text.length).toBe(100);
  server.cutAfter(0);
  const none = read(await fetch(server.origin));
  await until(() => none.over === "failed");
  expect(none.text).toBe("");
});

test("what a client does not read stays with the server behind it", async () => {
  let written = 0;
  let drained = 0;
  const server = await start({
    target: (_, response) => {
      const piece = Buffer.alloc(65_536, "x");
      const write = () => {
        for (let more = true; more && written < 64 * 2 ** 20; written += piece.length) more = response.write(piece);
      };
      response.on("drain", () => {
        drained++;
        write();
      });
      write();
    },
  });
  server.stall();
  const asked = fetch(server.origin);
  await until(() => server.requests.length === 1);
  server.resume();
  const response = await asked;
  server.stall();
  let last = -1;
  await until(async () => {
    const still = last === drained;
    last = drained;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return still;
  });
  expect(written).toBeLessThan(32 * 2 ** 20);
  await response.body?.cancel();
});

test("goes down and comes back at the same port", async () => {
  const { server, stream, datas, publish } = await startHub();
  const { origin } = server;
  await server.goDown();
  await until(() => stream.state === "waiting");
  await expect(fetch(origin)).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  await publish();
  await server.comeBack();
  await until(() => datas.length === 1);
  expect(server.origin).toBe(origin);
});

test("a target that is not there is 502", async () => {
  const gone = await startFaultServer();
  await gone.close();
  const server = await start({ target: gone.origin });
  const response = await fetch(server.origin);
  expect([response.status, ((await response.json()) as { detail: string }).detail]).toEqual([
    502,
    expect.stringContaining(`the target ${gone.origin} does not answer: connect ECONNREFUSED`),
  ]);
});

test("a target may have an IPv6 address", async (context) => {
  const target = http.createServer((_, response) => void response.end("six"));
  onTestFinished(() => void target.close());
  const isListening = await new Promise<boolean>((resolve) => {
    target.on("error", () => resolve(false)).listen(0, "::1", () => resolve(true));
  });
  context.skip(!isListening, "there is no IPv6 here");
  const server = await start({ target: `http://[::1]:${(target.address() as AddressInfo).port}` });
  expect(await (await fetch(server.origin)).text()).toBe("six");
});

test("a client that leaves is seen by the target", async () => {
  const { hub, stream } = await startHub();
  expect([...hub.connections()]).toHaveLength(1);
  stream.close();
  await until(() => [...hub.connections()].length === 0);
});

test("requests that are not finished disturb nobody", async () => {
  const server = await start({ target: (_, response) => void response.end("ok") });
  const socket = connectSocket(Number(new URL(server.origin).port), "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  await until(() => server.requests.length === 1);
  socket.destroy();
  await until(() => server.requests[0]?.closed);
  expect(await (await fetch(server.origin)).text()).toBe("ok");
});

test("closing ends all that is under way, pauses too, and may be done twice", async () => {
  const server = await startFaultServer();
  server.script("/", [{ body: ["data: 1\n\n", 60_000] }]);
  const seen = read(await fetch(server.origin));
  const startMs = performance.now();
  await server.close();
  await server[Symbol.asyncDispose]();
  await until(() => seen.over === "failed");
  expect(performance.now() - startMs).toBeLessThan(2000);
});

test("the example of the documentation: a stream that breaks off, then 503, then goes on", async () => {
  const server = await start();
  const requests = server.script("/events", [
    { body: ["id: 1\ndata: 1\n\nid: 2\ndata: unfin"], finish: "cut" },
    { status: 503, headers: { "Retry-After": "0" } },
    { body: ["id: 2\ndata: 2\n\n"], finish: "stall" },
  ]);
  const stream = connect(`${server.origin}/events`, { backoff: { baseMs: 5 } });
  onTestFinished(() => stream.close());
  expect((await collect(stream, 2)).map(({ data }) => data)).toEqual([1, 2]);
  expect(requests.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "1", "1"]);
});
