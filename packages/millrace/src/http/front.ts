import type { Socket } from "node:net";
import { type Sink, SocketSink } from "../sink/index.js";
import type { Api } from "./api.js";
import type { Exchange, Headers } from "./exchange.js";
import { handle } from "./handle.js";
import { fromLatin1 } from "./latin1.js";
import type { NarrowHead } from "./narrow.js";
import { remoteAddressOf } from "./remote-address.js";
import { writeHead } from "./stream-head.js";
import { readTarget } from "./target.js";

/**
 * A plain `GET /events` that `listen` has read itself, on the bare connection. It has what applications look at in an
 * `IncomingMessage`. Nothing else comes on this connection.
 */
export interface EventsRequest extends NarrowHead {
  readonly method: "GET";
  readonly httpVersion: "1.1";
  readonly socket: Socket;
}

/**
 * Answers it. A subscriber that came through node:http keeps a parser, a request and a response in memory that nobody
 * uses any more; of this one there is the socket.
 */
export async function handleEvents(api: Api, trustedProxies: readonly string[], request: EventsRequest): Promise<void> {
  try {
    await handle(api, new FrontExchange(request, trustedProxies));
  } catch (error) {
    api.onError(error);
    request.socket.destroy();
  }
}

class FrontExchange implements Exchange {
  readonly method = "GET";
  readonly raw: EventsRequest;
  readonly malformed = undefined; // that was looked at before there was one of these
  readonly path: string;
  readonly query: string;
  readonly #trustedProxies: readonly string[];
  status = 0;

  constructor(request: EventsRequest, trustedProxies: readonly string[]) {
    this.raw = request;
    this.#trustedProxies = trustedProxies;
    const { path, query } = readTarget(request.url);
    this.path = path;
    this.query = query;
    request.socket.on("error", destroyed).on("data", refuseMore).on("end", finished).resume();
  }

  get remoteAddress(): string | undefined {
    return remoteAddressOf(this.raw.socket.remoteAddress, this.#trustedProxies, () => this.header("x-forwarded-for"));
  }

  get gone(): boolean {
    return !this.raw.socket.writable;
  }

  header(name: string): string | undefined {
    const value = this.raw.headers[name];
    return value === undefined ? undefined : fromLatin1(value);
  }

  async body(): Promise<void> {}

  respond(status: number, headers: Headers, body: string | Uint8Array = ""): void {
    const { socket } = this.raw;
    if (this.status !== 0 || this.gone) return;
    this.status = status;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const length = status === 204 ? {} : { "content-length": String(bytes.length) };
    socket.off("data", refuseMore).resume();
    socket.end(Buffer.concat([writeHead(status, { ...headers, ...length }), bytes]));
    socket.destroySoon(); // a client that does not close its half would keep the rest
  }

  stream(headers: Headers): Sink {
    const { socket } = this.raw;
    this.status = 200;
    socket.off("end", finished).off("error", destroyed); // the sink's own business from here on
    return new SocketSink(socket, writeHead(200, headers));
  }

  onGone(listener: () => void): void {
    this.raw.socket.once("close", listener);
  }
}

// Shared by all connections: functions of their own would cost each of ten thousand a quarter of a kilobyte.

function destroyed(this: Socket): void {
  this.destroy();
}

/** The client has half-closed before it was answered: as behind node:http, it gets what has been written. */
function finished(this: Socket): void {
  this.destroySoon();
}

/** Behind a request for a stream comes no other: its answer would be read as part of the stream. Blank lines are none. */
function refuseMore(this: Socket, bytes: Buffer): void {
  if (bytes.some((byte) => byte !== 0x0d && byte !== 0x0a)) this.destroy();
}
