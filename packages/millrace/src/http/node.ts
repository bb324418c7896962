import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";
import { Http2Sink, type Sink, SocketSink } from "../sink/index.js";
import type { Api } from "./api.js";
import { readBody } from "./body.js";
import { type Exchange, type Headers, hasBody, type Reading } from "./exchange.js";
import { handle } from "./handle.js";
import { plainHeaders } from "./headers.js";
import { fromLatin1 } from "./latin1.js";
import { Problem, respondProblem } from "./problem.js";
import { remoteAddressOf } from "./remote-address.js";
import { joinHeaders, varyOf } from "./stream-head.js";
import { readTarget } from "./target.js";
import { writeHead } from "./write-head.js";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** Connections that have become a stream: nothing else may be answered on them. */
const streaming = new WeakSet<Socket>();

/** Whether a connection has become a stream. */
export const isStreaming = (socket: Socket): boolean => streaming.has(socket);

/** Answers a request for one of the hub's routes. False: the path is none of them, and nothing was answered. */
export async function handleNode(
  api: Api,
  trustedProxies: readonly string[],
  request: NodeRequest,
  response: NodeResponse,
): Promise<boolean> {
  const exchange = nodeExchange(request, response, trustedProxies);
  if (!exchange) return true;
  const answered = handle(api, exchange);
  await answered;
  return answered !== undefined;
}

/** Undefined: nothing can be answered to this one. */
export function nodeExchange(
  request: NodeRequest,
  response: NodeResponse,
  trustedProxies: readonly string[],
): Exchange | undefined {
  if (!streaming.has(request.socket)) return new NodeExchange(request, response, trustedProxies);
  // A request that was pipelined behind a stream: an answer would be read as part of it.
  request.socket.destroy();
  return undefined;
}

/** What a server that is all the hub's answers to other paths. */
export function respondNotFound(request: NodeRequest, response: NodeResponse): void {
  respondProblem(
    new NodeExchange(request, response, []),
    new Problem(404, "not_found", "no such route here"),
    plainHeaders,
  );
}

class NodeExchange implements Exchange {
  readonly raw: NodeRequest;
  readonly whole = undefined;
  readonly #response: NodeResponse;
  readonly #trustedProxies: readonly string[];
  readonly path: string;
  readonly query: string;
  readonly #authority: string | undefined;
  status = 0;

  constructor(request: NodeRequest, response: NodeResponse, trustedProxies: readonly string[]) {
    this.raw = request;
    this.#response = response;
    this.#trustedProxies = trustedProxies;
    const { authority, path, query } = readTarget(request.url ?? "/");
    this.#authority = authority ?? request.headers[":authority"]?.toString();
    this.path = path;
    this.query = query;
  }

  get method(): string {
    return this.raw.method ?? "GET";
  }

  get remoteAddress(): string | undefined {
    return remoteAddressOf(this.raw.socket.remoteAddress, this.#trustedProxies, () => this.header("x-forwarded-for"));
  }

  get malformed(): string | undefined {
    const { rawHeaders, httpVersion } = this.raw;
    const isHttp2 = "stream" in this.raw;
    // Node's parser also takes HTTP/0.9, and HTTP/2.0 in the words of 1.1.
    if (!isHttp2 && httpVersion !== "1.1" && httpVersion !== "1.0") return "send the request as HTTP/1.1";
    const hosts = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === "host");
    // HTTP/2 has it in :authority; a gateway may repeat it in Host (RFC 9113, section 8.3.1).
    const different = isHttp2 ? new Set([...hosts, this.#authority ?? hosts[0]]).size : hosts.length;
    const missing = different === 0 && httpVersion !== "1.0";
    return different > 1 || missing ? "a request has one Host" : undefined;
  }

  get gone(): boolean {
    const { raw } = this;
    return "stream" in raw ? raw.stream.destroyed : !raw.socket.writable;
  }

  header(name: string): string | undefined {
    const value = name === "host" && this.#authority !== undefined ? this.#authority : this.raw.headers[name];
    return value === undefined ? undefined : fromLatin1(Array.isArray(value) ? value.join(", ") : value);
  }

  body(reading: Reading): Promise<void> {
    return readBody(this.raw, reading);
  }

  respond(status: number, headers: Headers, body: string | Uint8Array = ""): void {
    const response = this.#response as ServerResponse;
    if (response.headersSent || response.destroyed) return;
    this.status = status;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    // What is left of an unread body would be taken for the next request, or would have to be read for nothing.
    const { raw } = this;
    const unread = !("stream" in raw) && !raw.complete && hasBody(this);
    // Of what HEAD asks about, only a body that is at hand has a length: a stream has none (RFC 9110, section 8.6).
    const none = status === 204 || (this.method === "HEAD" && bytes.length === 0);
    const length = none ? {} : { "content-length": String(bytes.length) };
    response.writeHead(status, { ...headers, ...length, ...(unread ? { connection: "close" } : {}) });
    response.end(this.method === "HEAD" ? undefined : bytes, () => {
      // HTTP/2 has a word for it (RFC 9113, section 8.1): the answer is whole, the rest of the body is not wanted.
      if ("stream" in raw && !raw.stream.endAfterHeaders && !raw.stream.readableEnded) raw.stream.close();
    });
  }

  stream(headers: Headers): Sink {
    if (this.#response.headersSent) {
      this.#response.destroy(); // what was begun must not look as if it were whole
      throw new Error("the response has begun already: a stream needs one that nothing was written to");
    }
    announceHead(this.#response, headers);
    const joined = joinHeaders(this.#response.getHeaders(), headers);
    if ("stream" in this.#response) {
      const { stream } = this.#response;
      this.status = 200;
      if (!stream.headersSent) stream.respond({ ":status": 200, ...joined });
      return new Http2Sink(stream);
    }
    const { socket } = this.raw;
    // Its head would come in between the answers to the requests before it.
    if (this.#response.socket !== socket) {
      throw new Problem(400, "pipelined", "a stream cannot follow a request that is not answered: connect once more");
    }
    this.status = 200;
    streaming.add(socket);
    return new SocketSink(socket, writeHead(200, joined));
  }

  onGone(listener: () => void): void {
    this.#response.once("close", listener);
  }
}

/**
 * Middleware that has something to add to every head, such as a session's cookie, waits for it in the place of `writeHead`
 * (the package on-headers). A stream's head is written past the response: it would never hear of it.
 */
function announceHead(response: NodeResponse, headers: Headers): void {
  if (!Object.hasOwn(response, "writeHead") || response.headersSent) return;
  const all = { ...headers, ...varyOf(response.getHeaders(), headers) };
  for (const [name, value] of Object.entries(all)) response.setHeader(name, value);
  response.writeHead(200);
}
