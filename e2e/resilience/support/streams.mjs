// An application with streams, which tells what it holds: node --expose-gc streams.mjs, as a child with a channel.
// `?do=` says what the handler does, and `&ms=` how long it waits. Any message is answered with figures.
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { eventStream } from "millrace";

const padding = "x".repeat(16 * 1024);
const figures = { opened: 0, running: 0, uncollected: 0, failures: 0, errors: [] };
const collected = new FinalizationRegistry(() => figures.uncollected--);

const handlers = {
  ticks: async (stream, ms) => {
    for (let n = 0; ; n++) {
      await stream.send({ event: "tick", id: `${n}`, data: { n } });
      await sleep(ms / 10, undefined, { signal: stream.signal });
    }
  },
  flood: async (stream) => {
    for (;;) await stream.send(padding);
  },
  pipe: async function* () {
    for (;;) yield padding;
  },
  deaf: async (stream, ms) => {
    await stream.send("first");
    await sleep(ms);
    await stream.send("last");
  },
  idle: (stream) => {
    void stream.send("first");
    return () => {};
  },
  closes: async (stream, ms) => {
    void stream.pipe(handlers.pipe());
    await sleep(ms);
    stream.close({ reconnect: false });
    await stream.closed;
  },
  returns: async (stream) => {
    for (let n = 0; n < 20; n++) await stream.send(padding);
  },
  hasty: async (stream) => {
    for (;;) void stream.send(padding);
  },
  fails: async (stream, ms) => {
    await stream.send("first");
    await sleep(ms);
    throw new Error("fails");
  },
};

/** What a handler returned, counted until it is over. */
function counted(result) {
  figures.running++;
  const over = () => void figures.running--;
  if (typeof result === "function") return over;
  if (typeof result.then === "function") return result.finally(over);
  return (async function* () {
    try {
      yield* result;
    } finally {
      over();
    }
  })();
}

const expected = (error) => error.message === "fails" || error.code === "stream_full";
const route = eventStream(
  (stream, request) => {
    figures.opened++;
    figures.uncollected++;
    collected.register(stream);
    const { searchParams } = new URL(request.url, "http://localhost");
    return counted(handlers[searchParams.get("do")](stream, Number(searchParams.get("ms"))));
  },
  {
    heartbeatMs: 200,
    onError: (error) => {
      if (expected(error)) figures.failures++;
      else figures.errors.push(String(error?.stack ?? error));
    },
  },
);
process.on("unhandledRejection", (error) => figures.errors.push(`unhandled: ${error?.stack ?? error}`));

/** What runtimes of Fetch handlers do. */
async function overFetch(incoming, outgoing) {
  const leaving = new AbortController();
  outgoing.once("close", () => leaving.abort());
  const headers = Object.entries(incoming.headers);
  const response = await route(new Request(`http://localhost${incoming.url}`, { headers, signal: leaving.signal }));
  outgoing.writeHead(response.status, [...response.headers].flat());
  try {
    for await (const part of response.body ?? []) {
      if (!outgoing.write(part)) await once(outgoing, "drain", { signal: leaving.signal });
    }
    outgoing.end();
  } catch {
    outgoing.destroy();
  }
}

const held = new Set();
/** The least that a server of streams can do. */
function bare(_request, response) {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  response.write(": \n\n");
  held.add(response);
  response.once("close", () => held.delete(response));
}

async function look() {
  for (let round = 0; round < 4; round++) {
    await turn();
    globalThis.gc();
  }
  const { heapUsed, external } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo().filter((name) => name !== "Immediate");
  return { ...figures, streams: route.streams.size, bare: held.size, heapUsed, external, resources: resources.sort() };
}

const servers = [
  http.createServer(route),
  http2.createServer(route),
  http.createServer((request, response) => void overFetch(request, response)),
  http.createServer(bare),
];
for (const server of servers) {
  server.on("session", (session) => session.on("error", () => {}));
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
  await once(server, "listening");
}
process.on("message", async () => process.send(await look()));
process.on("disconnect", () => process.exit());
process.send({ ports: servers.map((server) => server.address().port) });
