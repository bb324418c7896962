import type { Socket } from "node:net";
import { type Sink, SocketSink } from "../sink/index.js";
import type { Api } from "./api.js";
import type { Conversation, FrontRequest } from "./conversation.js";
import type { Exchange, Headers, Reading } from "./exchange.js";
import { handle } from "./handle.js";
import { fromLatin1 } from "./latin1.js";
import { remoteAddressOf } from "./remote-address.js";
import { readTarget } from "./target.js";
import { writeHead } from "./write-head.js";

/**
 * Answers a request of the front. A subscriber that came through node:http keeps a parser, a request and a response in
 * memory that nobody uses any more; of this one there is the socket. And a publish costs half of the time.
 */
export function handleFront(
  api: Api,
  trustedProxies: readonly string[],
  request: FrontRequest,
  conversation: Conversation | undefined,
): void {
  const exchange = conversation
    ? new PublishExchange(request, trustedProxies, conversation)
    : new EventsExchange(request, trustedProxies);
  handle(api, exchange)?.catch((error) => {
    api.onError(error);
    request.socket.destroy();
  });
}

abstract class FrontExchange implements Exchange {
  readonly raw: FrontRequest;
  readonly malformed = undefined; // that was looked at before there was one of these
  readonly path: string;
  readonly query: string;
  readonly #trustedProxies: readonly string[];
  status = 0;

  constructor(request: FrontRequest, trustedProxies: readonly string[]) {
    this.raw = request;
    this.#trustedProxies = trustedProxies;
    const { path, query } = readTarget(request.url);
    this.path = path;
    this.query = query;
  }

  get method(): string {
    return this.raw.method;
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

  respond(status: number, headers: Headers, body: string | Uint8Array = ""): void {
    if (this.status !== 0 || this.gone) return;
    this.status = status;
    this.send(status, headers, body);
  }

  onGone(listener: () => void): void {
    this.raw.socket.once("close", listener);
  }

  abstract readonly whole: Uint8Array | undefined;
  abstract body(reading: Reading): Promise<void>;
  abstract stream(headers: Headers): Sink;
  protected abstract send(status: number, headers: Headers, body: string | Uint8Array): void;
}

/** `POST /publish`: one of several on its connection. */
class PublishExchange extends FrontExchange {
  readonly #conversation: Conversation;

  constructor(request: FrontRequest, trustedProxies: readonly string[], conversation: Conversation) {
    super(request, trustedProxies);
    this.#conversation = conversation;
  }

  get whole(): Uint8Array | undefined {
    return this.#conversation.whole;
  }

  body(reading: Reading): Promise<void> {
    return this.#conversation.body(reading);
  }

  stream(): Sink {
    throw new Error("a publish is answered at once: it has no stream");
  }

  protected send(status: number, headers: Headers, body: string | Uint8Array): void {
    this.#conversation.answer(status, headers, body);
  }
}

/** `GET /events`: the connection becomes its stream, and nothing else comes on it. */
class EventsExchange extends FrontExchange {
  readonly whole = undefined;

  constructor(request: FrontRequest, trustedProxies: readonly string[]) {
    super(request, trustedProxies);
    request.socket.on("error", destroyed).on("data", refuseMore).on("end", finished).resume();
  }

  async body(): Promise<void> {}

  stream(headers: Headers): Sink {
    const { socket } = this.raw;
    this.status = 200;
    socket.off("end", finished).off("error", destroyed); // the sink's own business from here on
    return new SocketSink(socket, writeHead(200, headers));
  }

  protected send(status: number, headers: Headers, body: string | Uint8Array): void {
    const { socket } = this.raw;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const length = status === 204 ? {} : { "content-length": String(bytes.length) };
    socket.off("data", refuseMore).resume();
    socket.end(Buffer.concat([writeHead(status, { ...headers, ...length }), bytes]));
    socket.destroySoon(); // a client that does not close its half would keep the rest
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
