import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { constants, createGunzip } from "node:zlib";
import type { Millrace } from "../../../src/index.js";
import { EventReader } from "./events.js";

/** A request as the tests write it, whatever it goes through. */
export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** The body goes out, but not its end. */
  readonly unfinished?: boolean;
  /** The client leaves when it fires, answered or not. */
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  header(name: string): string | undefined;
  readonly events: EventReader;
  text(): Promise<string>;
  /** The body, which must be problem+json. */
  problem(): Promise<{ status: number; code: string; detail: string; title: string; type: string }>;
  /** The client leaves. */
  leave(): void;
}

export interface Client {
  call(target: string, call?: Call): Promise<Answer>;
  /** How many requests the server has that are neither answered nor given up. */
  open(): number;
}

/** One of the ways to the hub: for `describe.each`. */
export interface Form {
  readonly name: "http/1.1" | "http/2" | "fetch";
  serve(hub: Millrace): Promise<Client & AsyncDisposable>;
}

type Head = (name: string) => string | undefined;

export function answerOf(status: number, header: Head, coded: AsyncIterable<Uint8Array>, leave: () => void): Answer {
  const body = header("content-encoding") === "gzip" ? inflated(coded) : coded;
  const text = async () => {
    const parts: Uint8Array[] = [];
    for await (const part of body) parts.push(part);
    return Buffer.concat(parts).toString();
  };
  let events: EventReader | undefined;
  return {
    status,
    header,
    text,
    leave,
    get events() {
      events ??= new EventReader(body);
      return events;
    },
    problem: async () => {
      const type = header("content-type");
      const whole = await text();
      if (type !== "application/problem+json") throw new Error(`${status} is ${type}, not a problem: ${whole}`);
      return JSON.parse(whole);
    },
  };
}

/** As clients do it that read streams: what has come is read at once, and an end without a trailer is one. */
function inflated(coded: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const gunzip = createGunzip({ flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH });
  const source = Readable.from(coded, { objectMode: true });
  source.on("error", (error) => gunzip.destroy(error)); // the client left
  return source.pipe(gunzip);
}

/** Sends a request to a server of HTTP/1.1, on a connection of its own unless an agent is given. */
export function callHttp1(port: number, target: string, call: Call = {}, agent?: http.Agent): Promise<Answer> {
  const { method = "GET", headers = {}, body, unfinished, signal } = call;
  return new Promise((resolve, reject) => {
    const length = body === undefined || unfinished ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const request = http.request({
      ...{ host: "127.0.0.1", port, path: target, method, agent: agent ?? false },
      headers: { ...length, ...headers },
    });
    request.on("error", reject);
    signal?.addEventListener("abort", () => request.destroy(new Error("left")));
    request.on("response", (response) => {
      const header = (name: string) => response.headers[name] as string | undefined;
      resolve(answerOf(response.statusCode ?? 0, header, response, () => request.destroy()));
    });
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    if (unfinished) request.write(bytes);
    else request.end(bytes); // with a text, Node would write the head as UTF-8
  });
}

export function callHttp2(port: number, target: string, call: Call): Promise<Answer> {
  const { method = "GET", headers = {}, body, unfinished, signal } = call;
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on("error", reject);
    const { host, ...others } = headers;
    const authority = host === undefined ? {} : { ":authority": host };
    const request = session.request(
      { ":method": method, ":path": target, ...authority, ...others },
      { endStream: body === undefined },
    );
    const leave = () => request.close(http2.constants.NGHTTP2_CANCEL);
    signal?.addEventListener("abort", leave);
    request.on("error", reject);
    request.on("close", () => {
      session.close();
      reject(new Error("the stream was closed"));
    });
    request.on("response", (head) => {
      const header = (name: string) => head[name] as string | undefined;
      resolve(answerOf(head[":status"] ?? 0, header, answeredEarly(request), leave));
    });
    if (unfinished) request.write(body);
    else if (body !== undefined) request.end(body);
  });
}

/** Node calls a close premature that follows a whole answer to an unfinished request (RFC 9113, section 8.1). */
async function* answeredEarly(request: http2.ClientHttp2Stream): AsyncGenerator<Uint8Array> {
  try {
    yield* request;
  } catch (error) {
    if (request.rstCode !== http2.constants.NGHTTP2_NO_ERROR) throw error;
  }
}

async function callFetch(hub: Millrace, target: string, call: Call): Promise<Answer> {
  const { method, headers, body, unfinished, signal } = call;
  const leaving = new AbortController();
  signal?.addEventListener("abort", () => leaving.abort());
  const request = new Request(`http://127.0.0.1${target}`, {
    ...(method === undefined ? {} : { method }),
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body: unfinished ? endless(body) : (body as string | Uint8Array<ArrayBuffer>) }),
    duplex: "half",
    signal: leaving.signal,
  });
  const response =
    (await hub.fetch(request, { remoteAddress: "127.0.0.1" })) ?? new Response("not found\n", { status: 404 });
  const header = (name: string) => response.headers.get(name) ?? undefined;
  return answerOf(response.status, header, bytesOf(response.body), () => leaving.abort());
}

const endless = (body: string | Uint8Array) =>
  new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(Buffer.from(body)) });

async function* bytesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  if (body) yield* body;
}

/** Counts the requests of a server that are under way. */
function counting(server: http.Server | http2.Http2Server): () => number {
  let count = 0;
  server.on("request", (_request, response) => {
    count++;
    response.on("close", () => count--);
  });
  return () => count;
}

/** Listens on a free port of 127.0.0.1. */
export async function listen(server: http.Server | http2.Http2Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** A server of HTTP/1.1 in front of a hub, with what it takes to look at its connections. */
export async function serveHttp1(hub: Millrace, options: http.ServerOptions = {}) {
  const server = http.createServer(options, hub.listener);
  const port = await listen(server);
  return {
    server,
    port,
    open: counting(server),
    call: (target: string, call?: Call) => callHttp1(port, target, call),
    [Symbol.asyncDispose]: async () => {
      await hub.close({ drainMs: 200 });
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serveHttp2(hub: Millrace) {
  const server = http2.createServer((request, response) => {
    hub.node(request, response).then((answered) => {
      if (!answered) response.writeHead(404).end("not found\n");
    });
  });
  const port = await listen(server);
  return {
    server,
    port,
    open: counting(server),
    call: (target: string, call: Call = {}) => callHttp2(port, target, call),
    [Symbol.asyncDispose]: async () => {
      await hub.close({ drainMs: 200 });
      server.close();
    },
  };
}

export const http1: Form = { name: "http/1.1", serve: serveHttp1 };
const http2Form: Form = { name: "http/2", serve: serveHttp2 };
const fetchForm: Form = {
  name: "fetch",
  serve: async (hub) => ({
    call: (target, call = {}) => callFetch(hub, target, call),
    open: () => 0,
    [Symbol.asyncDispose]: () => hub.close({ drainMs: 200 }),
  }),
};

export const forms: readonly Form[] = [http1, http2Form, fetchForm];
