/** Connections that come and go in every way leave nothing behind in the hub. */
import http2 from "node:http2";
import net from "node:net";
import { expect, test } from "vitest";
import { type HubProcess, startHub } from "../support/hub.js";
import { ask, openStream, Peer, requestBytes } from "../support/raw.js";
import { pause, until } from "../support/until.js";
import { anonymousMemory, descriptors } from "./support/proc.js";
import { long, type Random, scaled, seededRandom } from "./support/scale.js";

const atOnce = 50;
const path = "/events?channel=churn";

type Kind = (hub: HubProcess, random: Random) => Promise<void>;

function connect(hub: HubProcess): net.Socket {
  const { port, hostname } = new URL(hub.url);
  const socket = net.connect({ port: Number(port), host: hostname, noDelay: true });
  socket.on("error", () => {});
  return socket;
}

const closed = (socket: net.Socket): Promise<void> =>
  new Promise((resolve) => (socket.closed ? resolve() : socket.once("close", () => resolve())));

/** Sends a part of a request, up to all of it but one byte, and leaves in one of three ways. */
async function cut(hub: HubProcess, random: Random, bytes: Buffer): Promise<void> {
  const socket = connect(hub);
  await new Promise((resolve) => socket.once("connect", resolve));
  const part = bytes.subarray(0, Math.floor(random() * bytes.length));
  if (part.length > 0) await new Promise((resolve) => socket.write(part, resolve));
  const way = random();
  if (way < 0.4) socket.destroy();
  else if (way < 0.7) socket.resetAndDestroy();
  else socket.end().resume(); // the hub has to end it
  await closed(socket);
}

const publishing = {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ channel: "churn", data: "x".repeat(500) }),
};

/** The preface, empty settings, and the head of a frame of headers that never comes (RFC 9113, sections 3.4 and 4.1). */
const http2Bytes = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 50, 1, 4, 0, 0, 0, 1, 0x82]),
]);

const kinds: Readonly<Record<string, Kind>> = {
  "stream, reset": async (hub) => {
    const { socket } = await openStream(hub.url, path);
    socket.resetAndDestroy();
    await closed(socket);
  },
  "stream, closed": async (hub) => {
    const { socket } = await openStream(hub.url, path);
    socket.destroy();
    await closed(socket);
  },
  "stream, half-closed": async (hub) => {
    const { socket } = await openStream(hub.url, path);
    socket.end();
    await closed(socket); // by the hub
  },
  "stream, left before its head came": async (hub) => {
    const socket = connect(hub);
    await new Promise((resolve) => socket.write(requestBytes(hub.url, path), resolve));
    socket.resetAndDestroy();
    await closed(socket);
  },
  "connected and gone": async (hub) => {
    const socket = connect(hub);
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.destroy();
    await closed(socket);
  },
  "request cut": (hub, random) => cut(hub, random, requestBytes(hub.url, path)),
  "publish cut": (hub, random) => cut(hub, random, requestBytes(hub.url, "/publish", publishing)),
  "selection cut": (hub, random) => {
    const body = JSON.stringify({ channels: Array.from({ length: 50 }, (_, at) => `churn/${at}`) });
    const headers = { "Content-Type": "application/json" };
    return cut(hub, random, requestBytes(hub.url, "/events", { method: "POST", headers, body }));
  },
  "long-poll abandoned": async (hub, random) => {
    const position = (await ask(hub.url, `${path}&mode=poll`)).headers.get("millrace-position");
    const socket = connect(hub);
    const bytes = requestBytes(hub.url, `${path}&mode=poll&lastEventId=${position}`);
    await new Promise((resolve) => socket.write(bytes, resolve));
    await pause(random() * 20);
    if (random() < 0.5) socket.destroy();
    else socket.resetAndDestroy();
    await closed(socket);
  },
  "HTTP/2, cut": (hub, random) => cut(hub, random, http2Bytes),
  "HTTP/2, connection ended": (hub, random) => overHttp2(hub, (session) => endSession(session, random)),
  "HTTP/2, streams cancelled": (hub, random) =>
    overHttp2(hub, async (session, streams) => {
      for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
      await pause(random() * 5);
      await endSession(session, random);
    }),
};

async function overHttp2(
  hub: HubProcess,
  leave: (session: http2.ClientHttp2Session, streams: http2.ClientHttp2Stream[]) => Promise<void>,
): Promise<void> {
  const session = http2.connect(hub.url);
  session.on("error", () => {});
  const streams = Array.from({ length: 3 }, () => session.request({ ":path": path }));
  for (const stream of streams) stream.on("error", () => {}).resume();
  await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once("response", resolve))));
  const gone = new Promise((resolve) => session.once("close", resolve));
  await leave(session, streams);
  await gone;
}

async function endSession(session: http2.ClientHttp2Session, random: Random): Promise<void> {
  if (random() < 0.5) session.destroy();
  else session.destroy(undefined, http2.constants.NGHTTP2_INTERNAL_ERROR);
}

/** So many connections, of each kind as many; meanwhile events are published. */
async function churn(hub: HubProcess, connections: number, random: Random): Promise<void> {
  const names = Object.keys(kinds);
  let next = 0;
  let busy = true;
  const publisher = new Peer(hub.url);
  const events = (async () => {
    while (busy) {
      await publisher.request("/publish", publishing);
      await pause(20);
    }
  })();
  const clients = Array.from({ length: atOnce }, async () => {
    while (next < connections) {
      const name = names[next++ % names.length] as string;
      await kinds[name]?.(hub, random);
    }
  });
  await Promise.all(clients);
  busy = false;
  await events;
  publisher.close();
}

async function metric(hub: HubProcess, name: string): Promise<number> {
  const text = (await ask(hub.url, "/metrics")).body.toString();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

/** The least of some seconds: memory is given back when the collector comes round to it. */
async function settledMemory(hub: HubProcess, belowMiB: number): Promise<number> {
  let least = anonymousMemory(hub.pid);
  for (let look = 0; look < 50 && least > belowMiB; look++) {
    await ask(hub.url, "/health");
    await pause(100);
    least = Math.min(least, anonymousMemory(hub.pid));
  }
  return least;
}

test("connections of every kind leave memory, descriptors and the list of connections as they were", {
  timeout: long ? 1_200_000 : 60_000,
}, async () => {
  const random = seededRandom("churn");
  await using hub = await startHub(["--log-level", "error"]);
  await churn(hub, scaled({ short: 2000, long: 20_000 }), random);
  const fewDescriptors = 40;
  const nobody = async () => {
    await until(
      () => "nobody is connected",
      async () => (await metric(hub, "millrace_connections")) === 0,
      10_000,
    );
    await until(
      () => `no connection is left open: ${descriptors(hub.pid)}`,
      () => descriptors(hub.pid) <= fewDescriptors,
      20_000,
    );
  };
  await nobody();
  const warm = { memory: await settledMemory(hub, 0), descriptors: descriptors(hub.pid) };

  const connections = scaled({ short: 5000, long: 100_000 });
  const openedBefore = await metric(hub, "millrace_connections_opened_total");
  await churn(hub, connections, random);
  await nobody();
  const opened = (await metric(hub, "millrace_connections_opened_total")) - openedBefore;
  const memory = await settledMemory(hub, warm.memory);
  const left = descriptors(hub.pid);
  console.log(
    `${connections} connections, ${opened} subscribers: memory ${warm.memory.toFixed(1)} → ${memory.toFixed(1)} MiB, ` +
      `descriptors ${warm.descriptors} → ${left}`,
  );
  expect(opened).toBeGreaterThan(connections / 2);
  expect(await metric(hub, "millrace_connections_closed_total")).toBe(
    await metric(hub, "millrace_connections_opened_total"),
  );
  expect(await metric(hub, "millrace_groups")).toBe(0);
  expect(JSON.parse((await ask(hub.url, "/connections")).body.toString())).toEqual({ connections: [] });
  expect(left).toBeLessThanOrEqual(warm.descriptors);
  expect(memory - warm.memory).toBeLessThan(20);
  expect(hub.stderr()).toBe("");
});
