/** What goes over the wire: requests, redirects, times, and bodies that are framed in odd ways. */
import { createServer, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ErrorEvent, EventSource, type EventSourceInit } from "../../src/client/index.js";
import { type FaultServer, startFaultServer } from "../../src/testing/index.js";
import { until } from "../http/support/until.js";

let server: FaultServer;
beforeEach(async () => {
  server = await startFaultServer();
});
afterEach(() => server[Symbol.asyncDispose]());

interface Seen {
  readonly source: EventSource;
  readonly events: MessageEvent[];
  readonly errors: ErrorEvent[];
}

/** An EventSource that is closed when the test ends, and what it has told. */
function open(url: string, init?: EventSourceInit): Seen {
  const source = new EventSource(url, init);
  onTestFinished(() => source.close());
  const events: MessageEvent[] = [];
  const errors: ErrorEvent[] = [];
  source.onmessage = (event) => events.push(event);
  source.onerror = (event) => errors.push(event);
  return { source, events, errors };
}

const data = ({ events }: Seen) => events.map((event) => event.data);

describe("requests", () => {
  test("are plain GETs that want an event stream, and no cache", async () => {
    const requests = server.script("/", [{ finish: "stall" }]);
    open(`${server.origin}/#here`);
    await until("a request", () => requests.length === 1);
    expect(requests[0]).toMatchObject({
      method: "GET",
      headers: { accept: "text/event-stream", "cache-control": "no-cache" },
    });
    expect(requests[0]?.headers).not.toHaveProperty("last-event-id");
  });

  test("come again after `retry`, 3 s by default", async () => {
    const requests = server.script("/", [{}, { body: ["retry: 400\n"] }, {}]);
    const seen = open(server.origin);
    await until("four requests", () => requests.length === 4, 10_000);
    const [first = 0, second = 0, third = 0, fourth = 0] = requests.map(({ atMs }) => atMs);
    expect(second - first).toBeGreaterThan(2990);
    expect(second - first).toBeLessThan(4000);
    for (const waited of [third - second, fourth - third]) {
      expect(waited).toBeGreaterThan(390);
      expect(waited).toBeLessThan(1400);
    }
    await until("the end", () => seen.source.readyState === EventSource.CLOSED);
  });

  test("a retry beyond what timers can wait does not come back at once", async () => {
    const requests = server.script("/", [{ body: ["retry: 99999999999\n"] }, {}]);
    const { errors } = open(server.origin);
    await until("the end of the stream", () => errors.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(requests).toHaveLength(1);
  });
});

describe("redirects", () => {
  test.each([301, 302, 303, 307, 308])("%i is followed, and the original is asked again", async (status) => {
    const redirect = { status, headers: { location: "/new" } };
    const old = server.script("/old", [redirect, redirect, { status: 204 }]);
    const moved = server.script("/new", [{ body: ["retry: 1\nid: 7\ndata: a\n\n"] }, { body: ["data: b\n\n"] }]);
    const seen = open(`${server.origin}/old`);
    await until("the end", () => seen.source.readyState === EventSource.CLOSED);
    expect(data(seen)).toEqual(["a", "b"]);
    expect(seen.source.url).toBe(`${server.origin}/old`);
    expect(old.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "7", "7"]);
    expect(moved.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "7"]);
  });

  // CVE-2022-1650: the package eventsource once gave them to whoever it was sent to.
  test("to another origin take no credentials along; events are of that origin", async () => {
    await using other = await startFaultServer();
    const moved = other.script("/", [{ body: ["retry: 1\ndata: a\n\n"] }, {}]);
    const old = server.script("/", [{ status: 307, headers: { location: other.origin } }]);
    const secrets = { Authorization: "Bearer secret", Cookie: "session=secret" };
    const seen = open(server.origin, {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...secrets } }),
    });
    await until("the end", () => seen.source.readyState === EventSource.CLOSED);
    expect(seen.events.map((event) => event.origin)).toEqual([other.origin]);
    expect(old[0]?.headers).toMatchObject({ authorization: "Bearer secret", cookie: "session=secret" });
    expect(moved[0]?.headers).not.toHaveProperty("authorization");
    expect(moved[0]?.headers).not.toHaveProperty("cookie");
  });

  test("in circles are no connection", async () => {
    server.script(
      "/",
      Array.from({ length: 50 }, () => ({ status: 302, headers: { location: "/" } })),
    );
    const { errors, source } = open(server.origin);
    await until("an error", () => errors.length === 1);
    expect(errors[0]?.message).toContain("redirect");
    expect(source.readyState).toBe(EventSource.CONNECTING);
  });
});

describe("error events", () => {
  test("have the status and words for an answer that is refused", async () => {
    server.script("/", [{ status: 403 }]);
    const { errors } = open(server.origin);
    await until("an error", () => errors.length === 1);
    expect(errors[0]).toBeInstanceOf(ErrorEvent);
    expect(errors[0]).toMatchObject({ code: 403, message: expect.stringContaining("403") });
  });

  test("name the type of content that was refused, whatever it holds", async () => {
    server.script("/", [{ headers: { "content-type": 'text/html; x="\t"' } }]);
    const { errors } = open(server.origin);
    await until("an error", () => errors.length === 1);
    expect(errors[0]).toMatchObject({ code: 200, message: expect.stringContaining("text/html") });
  });

  test("name the cause of a connection that fails", async () => {
    const { origin } = server;
    await server[Symbol.asyncDispose]();
    const { errors, source } = open(origin);
    await until("an error", () => errors.length === 1);
    expect(errors[0]).toMatchObject({ code: undefined, message: expect.stringContaining("ECONNREFUSED") });
    expect(source.readyState).toBe(EventSource.CONNECTING);
    server = await startFaultServer();
  });

  test("an event longer than maxBlockLength ends it for good, after what came before", async () => {
    const requests = server.script("/", [{ body: [`data: a\n\ndata: ${"x".repeat(3000)}\n\n`], finish: "stall" }]);
    const seen = open(server.origin, { maxBlockLength: 1000 });
    await until("an error", () => seen.errors.length === 1);
    expect(data(seen)).toEqual(["a"]);
    expect(seen.errors[0]?.message).toContain("maxBlockLength");
    expect(seen.source.readyState).toBe(EventSource.CLOSED);
    await until("the connection to close", () => requests[0]?.closed === true);
  });

  test("a maxBlockLength that is none is refused", () => {
    expect(() => new EventSource(server.origin, { maxBlockLength: 0 })).toThrow(
      expect.objectContaining({ code: "invalid_option" }),
    );
  });
});

describe("close", () => {
  test.each(["before the answer", "in the stream", "while waiting"])("%s lets go of everything", async (when) => {
    const requests = server.script("/", [
      when === "before the answer"
        ? "stall"
        : { body: ["data: a\n\n"], finish: when === "in the stream" ? "stall" : "end" },
      {},
    ]);
    const seen = open(server.origin);
    if (when === "before the answer") await until("a request", () => requests.length === 1);
    if (when === "in the stream") await until("an event", () => seen.events.length === 1);
    if (when === "while waiting") await until("an error", () => seen.errors.length === 1);
    seen.source.close();
    expect(seen.source.readyState).toBe(EventSource.CLOSED);
    await until("the connection to close", () => requests[0]?.closed === true);
    expect(requests).toHaveLength(1);
    expect(seen.errors).toHaveLength(when === "while waiting" ? 1 : 0);
  });
});

describe("bodies in odd frames", () => {
  let raw: Server;
  let sockets: Socket[];
  let answers: ((socket: Socket) => void)[];

  beforeEach(async () => {
    sockets = [];
    raw = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.on("data", () => answers.shift()?.(socket));
    });
    await new Promise<void>((resolve) => raw.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    raw.close();
  });

  const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
  const bye = (socket: Socket) => void socket.end("HTTP/1.1 204 No Content\r\n\r\n");

  async function run(...given: ((socket: Socket) => void)[]): Promise<Seen> {
    answers = [...given, bye];
    const { port } = raw.address() as { port: number };
    const seen = open(`http://127.0.0.1:${port}`);
    await until("the end", () => seen.source.readyState === EventSource.CLOSED);
    return seen;
  }

  test("that end with the connection", async () => {
    const seen = await run((socket) => void socket.end(`${head}Connection: close\r\n\r\nretry: 1\r\rdata: a\n\n`));
    expect(data(seen)).toEqual(["a"]);
  });

  test("of HTTP/1.0", async () => {
    const answer = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1\r\rdata: a\n\n";
    expect(data(await run((socket) => void socket.end(answer)))).toEqual(["a"]);
  });

  test("with a length", async () => {
    const body = "retry: 1\ndata: a\n\n";
    const seen = await run((socket) => void socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`));
    expect(data(seen)).toEqual(["a"]);
  });

  test("in chunks of one byte", async () => {
    const body = Buffer.from("retry: 1\ndata: é€😀\r\n\r\n");
    const chunks = [...body].flatMap((byte) => [Buffer.from("1\r\n"), Buffer.from([byte]), Buffer.from("\r\n")]);
    const answer = Buffer.concat([
      Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`),
      ...chunks,
      Buffer.from("0\r\n\r\n"),
    ]);
    expect(data(await run((socket) => void socket.write(answer)))).toEqual(["é€😀"]);
  });

  test("that are reset", async () => {
    const seen = await run(
      (socket) => {
        socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n12\r\nretry: 1\ndata: a\n\n\r\n`);
        setTimeout(() => socket.resetAndDestroy(), 50);
      },
      (socket) => void socket.end(`${head}\r\ndata: b\n\n`),
    );
    expect(data(seen)).toEqual(["a", "b"]);
  });

  test("that are shorter than they said", async () => {
    const seen = await run((socket) => {
      socket.write(`${head}Content-Length: 1000\r\n\r\nretry: 1\ndata: a\n\n`);
      setTimeout(() => socket.end(), 50);
    });
    expect(data(seen)).toEqual(["a"]);
    expect(seen.errors).toHaveLength(2);
  });

  test("that are compressed", async () => {
    const body = gzipSync("retry: 1\ndata: a\n\n");
    const start = `${head}Content-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`;
    const seen = await run((socket) => void socket.write(Buffer.concat([Buffer.from(start), body])));
    expect(data(seen)).toEqual(["a"]);
  });

  test("behind a type that came twice", async () => {
    const seen = await run((socket) => void socket.end(`${head}${head.split("\r\n")[1]}\r\n\r\nretry: 1\ndata: a\n\n`));
    expect(data(seen)).toEqual(["a"]);
  });

  test("no HTTP at all: another connection is tried", async () => {
    const seen = await run(
      (socket) => void socket.end(`${head}\r\nretry: 1\n\n`),
      (socket) => void socket.end("220 mail.example.org ESMTP\r\n"),
      (socket) => void socket.end(`${head}\r\ndata: b\n\n`),
    );
    expect(data(seen)).toEqual(["b"]);
  });
});
