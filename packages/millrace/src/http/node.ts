import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";
import { Http2Sink, type Sink, SocketSink } from "../sink/index.js";
import type { Api } from "./api.js";
import { BodyTooLarge, type Exchange, type Headers } from "./exchange.js";
import { handle } from "./handle.js";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** Connections that have become a stream: nothing else may be answered on them. */
const streaming = new WeakSet<Socket>();

/** Answers a request for one of the hub's routes. False: the path is none of them, and nothing was answered. */
export async function handleNode(
  api: Api,
  trustedProxies: readonly string[],
  request: NodeRequest,
  response: NodeResponse,
): Promise<boolean> {
  if (streaming.has(request.socket)) {
    // A request that was pipelined behind a stream: an answer would be read as part of it.
    request.socket.destroy();
    return true;
  }
  return handle(api, new NodeExchange(request, response, trustedProxies));
}

class NodeExchange implements Exchange {
  readonly raw: NodeRequest;
  readonly #response: NodeResponse;
  readonly #trustedProxies: readonly string[];
  readonly path: string;
  readonly query: string;
  status = 0;

  constructor(request: NodeRequest, response: NodeResponse, trustedProxies: readonly string[]) {
    this.raw = request;
    this.#response = response;
    this.#trustedProxies = trustedProxies;
    const url = request.url ?? "/";
    const mark = url.indexOf("?");
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = mark < 0 ? "" : url.slice(mark + 1);
  }

  get method(): string {
    return this.raw.method ?? "GET";
  }

  get remoteAddress(): string | undefined {
    const peer = this.raw.socket.remoteAddress?.replace(/^::ffff:/, "");
    if (peer === undefined || !this.#trustedProxies.includes(peer)) return peer;
    // From the right: what stands left of the first untrusted address is what that one claims.
    const said = (this.header("x-forwarded-for") ?? "").split(",").map((address) => address.trim());
    return said.findLast((address) => address !== "" && !this.#trustedProxies.includes(address)) ?? peer;
  }

  get hosts(): number {
    const { rawHeaders } = this.raw;
    let hosts = 0;
    for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === "host") hosts++;
    return hosts + (":authority" in this.raw.headers ? 1 : 0);
  }

  header(name: string): string | undefined {
    const value = this.raw.headers[name] ?? (name === "host" ? this.raw.headers[":authority"] : undefined);
    // Node reads heads as Latin-1; the standard sends Last-Event-ID as UTF-8.
    return Array.isArray(value) ? value.join(", ") : value;
  }

  body(limitBytes: number): Promise<Uint8Array> {
    const request = this.raw;
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      // Somewhat too large: read on without keeping it, because an answer to a peer that still sends is seldom read.
      const readBytes = limitBytes * 8;
      const take = (part: Buffer) => {
        bytes += part.length;
        if (bytes <= limitBytes) parts.push(part);
        else if (bytes > readBytes) refuse();
      };
      const refuse = () => {
        request.off("data", take);
        reject(new BodyTooLarge());
      };
      if (Number(request.headers["content-length"] ?? 0) > readBytes) return refuse();
      request.on("data", take);
      request.once("end", () => {
        if (bytes > limitBytes) refuse();
        else resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
      });
      request.once("error", reject);
      request.once("close", () => reject(new Error("the peer left before its body was whole")));
    });
  }

  respond(status: number, headers: Headers, body: string | Uint8Array = ""): void {
    const response = this.#response as ServerResponse;
    if (response.headersSent || response.destroyed) return;
    this.status = status;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    // What is left of an unread body would be taken for the next request, or would have to be read for nothing.
    const unread = this.raw.httpVersionMajor === 1 && !this.raw.complete;
    const length = status === 204 ? {} : { "content-length": String(bytes.length) };
    response.writeHead(status, { ...headers, ...length, ...(unread ? { connection: "close" } : {}) });
    response.end(this.method === "HEAD" ? undefined : bytes);
  }

  stream(headers: Headers): Sink {
    this.status = 200;
    if (this.raw.httpVersionMajor >= 2) {
      const { stream } = this.#response as Http2ServerResponse;
      stream.respond({ ":status": 200, ...headers });
      return new Http2Sink(stream);
    }
    const { socket } = this.raw;
    streaming.add(socket);
    return new SocketSink(socket, responseHead(headers));
  }

  onGone(listener: () => void): void {
    this.#response.once("close", listener);
  }
}

/** The head of a stream that its close delimits: no length, no chunks, HTTP/1.0 peers included. */
function responseHead(headers: Headers): Buffer {
  let head = `HTTP/1.1 200 ${STATUS_CODES[200]}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  return Buffer.from(`${head}\r\n`, "latin1");
}
