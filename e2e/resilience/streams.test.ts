/** Streams of an application that come and go in every way leave nothing behind in it; and what an idle one costs. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { expect, test } from "vitest";
import { requestBytes } from "../support/raw.js";
import { pause, until } from "../support/until.js";
import { between, long, type Random, scaled, seededRandom } from "./support/scale.js";

const atOnce = 50;
const mebibyte = 1024 * 1024;
/** By how much the heap may differ: it grows by some tenths of that while code is compiled. */
const driftBytes = 2 * mebibyte;

/** What the application says of itself, after a collection of garbage. */
interface Figures {
  readonly opened: number;
  /** Handlers that are not over. */
  readonly running: number;
  /** Streams that the collector has not taken yet. */
  readonly uncollected: number;
  /** Handlers that threw what they were meant to. */
  readonly failures: number;
  /** What else was thrown, or rejected with nobody to look after it. */
  readonly errors: readonly string[];
  readonly streams: number;
  /** Responses that the bare server holds. */
  readonly bare: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly resources: readonly string[];
}

interface Application extends AsyncDisposable {
  readonly http1: number;
  readonly http2: number;
  readonly fetch: number;
  /** The bare server, which knows nothing of Millrace. */
  readonly bare: number;
  look(): Promise<Figures>;
  /** Resolves when all is over that was open. */
  quiet(): Promise<Figures>;
}

async function message<T>(child: ChildProcess): Promise<T> {
  const [value] = await once(child, "message");
  return value;
}

async function startApplication(): Promise<Application> {
  const child = fork(new URL("support/streams.mjs", import.meta.url), { execArgv: ["--expose-gc"] });
  const { ports } = await message<{ ports: [number, number, number, number] }>(child);
  const [http1, overHttp2, fetch, bare] = ports;
  const look = () => {
    const figures = message<Figures>(child);
    child.send("look");
    return figures;
  };
  return {
    ...{ http1, http2: overHttp2, fetch, bare, look },
    quiet: async () => {
      let figures = await look();
      const open = ({ streams, running, bare, resources }: Figures) =>
        streams +
        running +
        bare +
        resources.filter((name) => name !== "PipeWrap" && !name.endsWith("ServerWrap")).length;
      await until(
        () => `all is over: ${JSON.stringify(figures)}`,
        async () => {
          figures = await look();
          return open(figures) === 0;
        },
        20_000,
      );
      return figures;
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

const light = ["ticks", "deaf", "idle", "returns", "fails"];
/** These fill whatever is between them and their client. */
const heavy = ["flood", "pipe", "closes", "hasty"];

function pathFor(random: Random, turn: number): string {
  const handlers = turn % 5 === 0 ? heavy : light;
  const handler = handlers[Math.floor(random() * handlers.length)];
  return `/?do=${handler}&ms=${Math.floor(between(random, 0, 30))}`;
}

/** Waits for a moment of a stream's life: before its head, within, or when it is full. */
async function moment(random: Random, answered: Promise<unknown>): Promise<void> {
  const when = random();
  if (when < 0.2) return;
  if (when < 0.4) return pause(between(random, 0, 4));
  await answered;
  await pause(between(random, 0, 25));
}

const closed = (socket: net.Socket): Promise<void> =>
  new Promise((resolve) => (socket.closed ? resolve() : socket.once("close", () => resolve())));

/** One connection of HTTP/1.1: it reads or does not, and leaves by a reset, by a FIN, or not at all when the stream ends. */
async function visitHttp1(port: number, random: Random, turn: number): Promise<void> {
  const socket = net.connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  const gone = closed(socket);
  const answered = Promise.race([new Promise((resolve) => socket.once("data", resolve)), gone]);
  socket.write(requestBytes(`http://127.0.0.1:${port}`, pathFor(random, turn)));
  const stall = () => void socket.pause();
  if (random() < 0.4) socket.once("data", stall);
  await moment(random, answered);
  const way = random();
  if (way < 0.4) socket.resetAndDestroy();
  else if (way < 0.7) socket.destroy();
  else socket.off("data", stall).end().resume(); // the server has to end it
  await gone;
}

/** One connection of HTTP/2 with some streams, which are cancelled, or go down with it. */
async function visitHttp2(port: number, random: Random, turn: number): Promise<void> {
  const socket = net.connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => socket });
  session.on("error", () => {});
  const gone = closed(socket);
  const streams = Array.from({ length: 3 }, (_, at) => session.request({ ":path": pathFor(random, turn + at) }));
  for (const stream of streams) {
    stream.on("error", () => {});
    if (random() < 0.6) stream.resume();
  }
  await moment(random, Promise.race([once(streams[0] as http2.ClientHttp2Stream, "response").catch(() => {}), gone]));
  if (random() < 0.5) {
    for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
    await pause(between(random, 0, 4));
  }
  if (random() < 0.5) socket.resetAndDestroy();
  else session.destroy();
  await gone;
}

/** So many visits, some at a time. */
async function churn(visits: number, visit: (turn: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < visits) await visit(next++);
    }),
  );
}

test.each(["http1", "http2", "fetch"] as const)(
  "streams over %s that are left at any moment leave memory, handles and timers as they were",
  { timeout: long ? 1_800_000 : 120_000 },
  async (transport) => {
    const random = seededRandom(`streams over ${transport}`);
    await using application = await startApplication();
    const visit = (turn: number) =>
      transport === "http2"
        ? visitHttp2(application.http2, random, turn)
        : visitHttp1(application[transport], random, turn);
    await churn(scaled({ short: 500, long: 5000 }), visit);
    const warm = await application.quiet();

    const visits = scaled({ short: 2000, long: 100_000 });
    await churn(visits, visit);
    const left = await application.quiet();
    const opened = left.opened - warm.opened;
    const grown = left.heapUsed - warm.heapUsed;
    console.log(
      `${transport}: ${visits} visits, ${opened} streams, ${left.failures - warm.failures} failed: ` +
        `heap ${(warm.heapUsed / mebibyte).toFixed(2)} → ${(left.heapUsed / mebibyte).toFixed(2)} MiB, ` +
        `${left.uncollected} streams not collected`,
    );
    expect(opened).toBeGreaterThan(visits / 2);
    expect(left.errors).toEqual([]);
    expect(left.resources).toEqual(warm.resources);
    expect(left.uncollected).toBeLessThan(atOnce);
    expect(grown).toBeLessThan(driftBytes);
    expect(left.external - warm.external).toBeLessThan(driftBytes);
  },
);

/** Opens connections that stay, each after its head has come; answers with what closes them. */
async function hold(port: number, count: number): Promise<() => void> {
  const sockets: net.Socket[] = [];
  for (let at = 0; at < count; at++) {
    const socket = net.connect({ port, host: "127.0.0.1" });
    socket.on("error", () => {});
    socket.write(
      requestBytes(`http://127.0.0.1:${port}`, "/?do=idle&ms=0", { headers: { Accept: "text/event-stream" } }),
    );
    sockets.push(socket);
    if (at % 100 === 99) await Promise.all(sockets.slice(-100).map((opened) => once(opened, "data")));
  }
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

test("an idle stream costs at most 1 KB of heap above a response that is held", async () => {
  await using application = await startApplication();
  const connections = 2000;
  const costs: Record<string, number> = {};
  // The first round warms up.
  for (const round of ["warm", "measured"]) {
    for (const server of ["bare", "http1"] as const) {
      const before = await application.quiet();
      const release = await hold(application[server], connections);
      const { heapUsed } = await application.look();
      release();
      if (round === "measured") costs[server] = (heapUsed - before.heapUsed) / connections;
    }
  }
  const { bare = 0, http1 = 0 } = costs;
  console.log(`heap of an idle connection: bare ${bare.toFixed(0)} bytes, a stream ${http1.toFixed(0)}`);
  expect(http1 - bare).toBeLessThan(1024);
});
