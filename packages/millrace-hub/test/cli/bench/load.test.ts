import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { type Counts, type Job, type Load, startLoad } from "../../../src/cli/bench/load.js";
import { createMarker } from "../../../src/cli/bench/marker.js";
import { parseStreamUrl, streamTarget } from "../../../src/cli/bench/target.js";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** Where it listens, once it does. */
async function listen(server: net.Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answering = (listener: http.RequestListener) => listen(http.createServer(listener));
const saying = (text: string) =>
  listen(
    net.createServer((socket) => {
      closing.push(() => socket.destroy());
      socket.on("error", () => {}).once("data", () => socket.write(text));
    }),
  );

function start(url: string, more: Partial<Job> = {}): Load {
  const target = streamTarget({ url: parseStreamUrl(url), channels: [], headers: [], apiKey: undefined });
  const usual = { connections: 3, before: 0, firstMs: 0, everyMs: 0, timeoutMs: 5000, times: "none" } as const;
  const load = startLoad({ target, ...usual, ...more });
  closing.push(() => load.stop());
  return load;
}

async function until(load: Load, met: (counts: Counts) => boolean): Promise<Counts> {
  for (let tries = 0; tries < 500; tries++) {
    const counts = load.counts();
    if (met(counts)) return counts;
    await sleep(10);
  }
  throw new Error(`it has come to ${JSON.stringify({ ...load.counts(), open: "", latency: "" })}`);
}

const stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";

describe("streams that do not open are counted by why", () => {
  it.each([
    ["a status", () => answering((_, response) => response.writeHead(503).end()), "status", "503"],
    ["a status that ends streams", () => answering((_, response) => response.writeHead(204).end()), "status", "204"],
    [
      "a page",
      () => answering((_, response) => response.setHeader("content-type", "text/html").end("data: x\n\n")),
      "type",
      "text/html",
    ],
    ["no type", () => answering((_, response) => response.end("data: x\n\n")), "type", "none"],
    [
      "a compression that was not asked for",
      () => saying("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n"),
      "type",
      "Content-Encoding gzip",
    ],
    ["another protocol", () => saying("SSH-2.0-OpenSSH\r\n"), "malformed", "no answer of HTTP/1.1"],
    [
      "an end",
      () => listen(net.createServer((socket) => socket.once("data", () => socket.end()))),
      "cut",
      "ended by the server",
    ],
    ["silence", () => saying(""), "timeout", "no answer in 200 ms"],
  ])("%s", async (_, serve, kind, detail) => {
    const load = start(await serve(), { timeoutMs: 200 });
    await load.settled;
    await load.over;
    expect(load.counts()).toMatchObject({ opened: 0, failed: 3, lost: 0, failures: [{ kind, detail, count: 3 }] });
  });

  it("nobody listens", async () => {
    const server = net.createServer();
    const url = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const load = start(url);
    await load.over;
    expect(load.counts().failures).toEqual([{ kind: "refused", detail: "ECONNREFUSED", count: 3 }]);
  });
});

describe("streams that open", () => {
  it("bring events in chunks of any size", async () => {
    const text = "id: 1\ndata: hello\n\n: comment\n\ndata: a\ndata: b\n\n";
    const url = await answering(async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (let at = 0; at < text.length; at += 4) {
        response.write(text.slice(at, at + 4));
        await new Promise(setImmediate);
      }
    });
    const load = start(url);
    const counts = await until(load, ({ events }) => events === 6);
    expect(counts).toMatchObject({ opened: 3, failed: 0, lost: 0, dataBytes: 3 * 8 });
    expect(counts.bytes).toBeGreaterThan(3 * text.length);
    expect(counts.open.maxMs).toBeGreaterThan(0);
  });

  it.each([
    ["ends the stream", (socket: net.Socket) => socket.end(), "ended by the server"],
    ["resets the connection", (socket: net.Socket) => socket.resetAndDestroy(), "ECONNRESET"],
  ])("are lost when the server %s", async (_, end, detail) => {
    const sockets: net.Socket[] = [];
    const server = net.createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {}).once("data", () => socket.write(`${stream}data: x\n\n`));
    });
    const load = start(await listen(server));
    await until(load, ({ events }) => events === 3);
    for (const socket of sockets) end(socket);
    await load.over;
    expect(load.counts()).toMatchObject({
      opened: 3,
      failed: 0,
      lost: 3,
      events: 3,
      failures: [{ kind: "cut", detail, count: 3 }],
    });
  });

  it("are lost when the last chunk has come", async () => {
    const load = start(
      await answering((_, response) => response.writeHead(200, { "content-type": "text/event-stream" }).end()),
    );
    await load.over;
    expect(load.counts()).toMatchObject({
      opened: 3,
      lost: 3,
      failures: [{ kind: "cut", detail: "ended by the server", count: 3 }],
    });
  });

  it("know what they lack and what came twice", async () => {
    const marker = createMarker("00c0ffee");
    const events = [0, 1, 1, 3].map((n) => `data: ${marker.write(n, 0)}\n\n`).join("");
    const load = start(await saying(stream + events), { times: { run: "00c0ffee" } });
    expect(await until(load, (counts) => counts.events === 12)).toMatchObject({ received: 9, twice: 3 });
    expect(load.counts().latency.maxMs).toBeGreaterThan(0);
  });

  it("begin one after the other", async () => {
    const times: number[] = [];
    const server = net.createServer((socket) => {
      times.push(performance.now());
      socket.on("error", () => {}).once("data", () => socket.write(stream));
    });
    const beganMs = performance.now();
    const load = start(await listen(server), { connections: 5, firstMs: 60, everyMs: 40 });
    await load.settled;
    expect(load.counts().opened).toBe(5);
    expect((times[0] ?? 0) - beganMs).toBeGreaterThanOrEqual(59);
    expect((times[4] ?? 0) - beganMs).toBeGreaterThanOrEqual(60 + 4 * 40 - 1);
  });

  it.skipIf(process.platform !== "linux")("come from an address behind those of the threads before", async () => {
    const from = new Set<string | undefined>();
    const server = net.createServer((socket) => {
      from.add(socket.remoteAddress);
      socket.on("error", () => {}).once("data", () => socket.write(stream));
    });
    const load = start(await listen(server), { before: 6999 });
    await load.settled;
    expect(load.counts()).toMatchObject({ opened: 3 });
    expect([...from].sort()).toEqual(["127.0.0.1", "127.0.0.2"]);
  });
});
