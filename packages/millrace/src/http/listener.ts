import http from "node:http";
import http2 from "node:http2";
import type net from "node:net";
import type { Conversation, FrontRequest } from "./conversation.js";
import { Front } from "./front.js";
import { isStreaming, type NodeRequest, type NodeResponse } from "./node.js";
import { Problem, writeProblem } from "./problem.js";
import { Sniffer } from "./sniffer.js";

export interface ListenerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** PEM texts. With them HTTP/2 and HTTP/1.1 are spoken over TLS. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  /** Whether small writes leave at once (TCP_NODELAY). Default true. */
  readonly noDelay?: boolean;
  /** What waits in a connection before its peer counts as slow, in bytes. Default 64 KiB. */
  readonly bufferBytes?: number;
  /** An unfinished TLS handshake or head is closed after this and at most half as much, in milliseconds. Default 10,000. */
  readonly headMs?: number;
  /** A connection that has asked nothing for so long is closed, in milliseconds. Default 75,000. */
  readonly idleMs?: number;
  readonly onRequest: (request: NodeRequest, response: NodeResponse) => void;
  /**
   * Takes plain `GET /events` and `POST /publish` from the beginning of a connection on, and passes `onRequest` by: the
   * `front` of a hub, whose subscribers then cost a third of the memory, and publishes half of the time. Default:
   * node:http reads all requests. Not over TLS, nor HTTP/2.
   */
  readonly onFront?: (request: FrontRequest, conversation?: Conversation) => void;
}

/** A port that speaks HTTP/1.1 and HTTP/2. */
export interface Listener {
  readonly url: string;
  /** Accepts no more; what is under way goes on. */
  stop(): void;
  /** Ends every connection. Resolves when the last is gone. */
  close(): Promise<void>;
}

/** Largest head of a request. */
const headBytes = 16 * 1024;
const bodyMs = 60_000;
/** Longer than the proxies in front keep a connection: the side that closes first must not be the one that is written to. */
const defaultIdleMs = 75_000;
/**
 * Connections that wait to be accepted; the system may allow fewer. With Node's 511, eight thousand clients that came
 * back at once took twice as long: one that finds no place tries again after a second, then after three.
 */
const waiting = 4096;
const common = {
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
  maxHeaderSize: headBytes,
  requireHostHeader: false, // said by the routes, with a reason
};
const timeouts = (headMs: number, idleMs: number) => ({
  headersTimeout: headMs,
  requestTimeout: bodyMs,
  keepAliveTimeout: idleMs,
  connectionsCheckingInterval: headMs / 2,
});
const http2Options = { settings: { maxConcurrentStreams: 1000, maxHeaderListSize: headBytes } };

/** Starts to listen. Rejects when the address cannot be had. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { host, port, tls, headMs = 10_000, idleMs = defaultIdleMs, noDelay = true } = options;
  // Set, because Node's default differs by version.
  const { bufferBytes: highWaterMark = 64 * 1024 } = options;
  const socketOptions = { ...common, noDelay, highWaterMark };
  const sessions = new Set<http2.ServerHttp2Session>();
  const track = (session: http2.ServerHttp2Session) => {
    sessions.add(session);
    session.on("error", () => session.destroy());
    // Not `session.setTimeout`: Node does not clear that timer when the session is destroyed, and so every session that
    // ended stayed in memory for the whole of the time.
    let streams = 0;
    const idle = setTimeout(() => streams === 0 && session.close(), idleMs).unref();
    session.on("stream", (stream) => {
      streams++;
      stream.once("close", () => {
        streams--;
        idle.refresh();
      });
    });
    session.once("close", () => {
      clearTimeout(idle);
      sessions.delete(session);
    });
  };
  const timed = { ...options, headMs, idleMs };
  const plain = tls ? undefined : plainServer(socketOptions, timed, track);
  const server = plain?.server ?? secureServer({ ...socketOptions, ...tls }, timed, track);
  // All of them: Node closes no connection over TLS that has not come to a request, or whose HTTP/1.1 body never ends.
  const sockets = new Set<net.Socket>();
  const forget = function (this: net.Socket) {
    sockets.delete(this);
  };
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("close", forget);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host, backlog: waiting }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const bound = server.address() as net.AddressInfo;
  const name = bound.family === "IPv6" ? `[${bound.address}]` : bound.address;
  let closed: Promise<void> | undefined;
  const stop = () => {
    closed ??= new Promise((resolve) => server.close(() => resolve()));
    plain?.sniffer.close();
    if ("closeIdleConnections" in server) server.closeIdleConnections();
  };
  return {
    url: `${tls ? "https" : "http"}://${name}:${bound.port}`,
    stop,
    close: async () => {
      stop();
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

type ServerOptions = Pick<ListenerOptions, "onRequest" | "onFront"> & { headMs: number; idleMs: number };
type Track = (session: http2.ServerHttp2Session) => void;

/** HTTP/1.1, and HTTP/2 for clients that begin with its preface (RFC 9113, 3.3, "prior knowledge"). */
function plainServer(
  socketOptions: http.ServerOptions,
  { headMs, idleMs, onRequest, onFront }: ServerOptions,
  track: Track,
): { server: http.Server; sniffer: Sniffer } {
  const server = http.createServer({ ...socketOptions, ...timeouts(headMs, idleMs) }, (request, response) => {
    answers.set(request.socket, response);
    onRequest(request, response);
  });
  server.on("clientError", explain);
  const two = http2.createServer(http2Options, onRequest);
  two.on("session", track);
  const [listener] = server.listeners("connection") as [(this: http.Server, socket: net.Socket) => void];
  server.removeAllListeners("connection");
  // Put back while it is paused: it would say them again at once, to nobody.
  const putBack = (socket: net.Socket, said: Buffer) => socket.pause().unshift(said);
  const toHttp1 = (socket: net.Socket, said: Buffer) => {
    putBack(socket, said);
    listener.call(server, socket);
    socket.resume();
  };
  const toHttp2 = (socket: net.Socket, said: Buffer) => {
    putBack(socket, said);
    // HTTP/1.1 lets a peer close its half first. HTTP/2 does not, and its sessions would outlive clients that left.
    socket.allowHalfOpen = false;
    two.emit("connection", socket);
  };
  const cutShort = (socket: net.Socket) => explain(new Error("the request has no end"), socket);
  const front = onFront && new Front({ idleMs, onFront, toHttp1, cutShort });
  const sniffer = new Sniffer({ headMs, toHttp1, toHttp2, front });
  server.on("connection", (socket: net.Socket) => sniffer.add(socket));
  return { server, sniffer };
}

function secureServer(
  secureOptions: http2.SecureServerOptions,
  { headMs, idleMs, onRequest }: ServerOptions,
  track: Track,
): http2.Http2SecureServer {
  const options = { ...secureOptions, ...http2Options, handshakeTimeout: headMs, allowHTTP1: true };
  const server = http2.createSecureServer(options, onRequest);
  Object.assign(server, timeouts(headMs, idleMs)); // Node takes them from no option here, but looks there when it listens
  server.on("session", track);
  server.on("clientError", explain);
  return server;
}

const problems: Readonly<Record<string, Problem>> = {
  HPE_HEADER_OVERFLOW: new Problem(
    431,
    "head_too_large",
    `the head of a request may have ${headBytes} bytes: send a long selection in the body of POST /events`,
  ),
  HPE_INVALID_URL: new Problem(
    400,
    "malformed_request",
    "the address is not well-formed: encode names in it as encodeURIComponent does",
  ),
  ERR_HTTP_REQUEST_TIMEOUT: new Problem(408, "request_timeout", "the request was not finished in time"),
};
const noHttp = new Problem(400, "malformed_request", "this is not a well-formed HTTP request");

/** The answer to the last whole request of a connection, as `node:http` has read them. */
const answers = new WeakMap<net.Socket, http.ServerResponse>();

/**
 * What is no HTTP is told so, if nothing has been answered on its connection yet, and closed. Behind a request that is
 * whole, its answer goes out first, and nothing else: a publish that was kept was once answered with the 400 of the
 * garbage behind it, and its publisher would have sent it again.
 */
function explain(error: NodeJS.ErrnoException, socket: net.Socket): void {
  const answer = answers.get(socket);
  if (answer?.req.complete && !answer.writableFinished && socket.writable && !isStreaming(socket)) {
    answer.once("close", () => socket.destroySoon());
    return;
  }
  const handshaking = "secureConnecting" in socket && socket.secureConnecting === true; // nothing can be said yet
  if (handshaking || !socket.writable || socket.bytesWritten > 0 || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  socket.end(writeProblem(problems[error.code ?? ""] ?? noHttp), () => socket.destroy());
}
