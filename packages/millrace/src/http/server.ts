import type { IncomingMessage, ServerResponse } from "node:http";
import type { Identity } from "../hub/index.js";
import {
  type AnyEvents,
  checkNumber,
  checkOptionKinds,
  invalidOption,
  type Kind,
  MillraceError,
  withDefaults,
} from "../protocol/index.js";
import type { StreamHandler } from "../stream/index.js";
import { answering } from "./answering.js";
import { type Action, type Authorize, admit } from "./authorize.js";
import { type CorsOptions, corsHeaders, forbiddenOrigin, isLoopbackHost, isTrusted, preflightHeaders } from "./cors.js";
import { type EventStreamOptions, type EventStreamRoute, eventStream } from "./event-stream.js";
import type { Exchange, Headers } from "./exchange.js";
import { guarded } from "./guarded.js";
import { plainHeaders } from "./headers.js";
import { Intake } from "./intake.js";
import { readJson } from "./json.js";
import { defaultLimits } from "./limits.js";
import { type Listener, listen } from "./listener.js";
import { type NodeRequest, type NodeResponse, nodeExchange, respondNotFound } from "./node.js";
import { hostOf, originOf } from "./origins.js";
import { type PathParams, PathPattern } from "./paths.js";
import { Problem } from "./problem.js";

export interface ServerOptions {
  /** Default 127.0.0.1: this machine only. 0.0.0.0 is every address that it has. */
  readonly host?: string;
  /** Default 3000; 0: any that is free. */
  readonly port?: number;
  /** Whether small writes leave at once (TCP_NODELAY). Default true. */
  readonly noDelay?: boolean;
  /** A close discards nothing that was sent, and waits for nothing: what SO_LINGER is for has no other setting here. */
  readonly linger?: false;
  /** What waits in a connection before its client counts as slow, in bytes. Default 64 KiB. */
  readonly bufferBytes?: number;
  /** Largest body that `request.json()` reads, in bytes. Default 1 MiB. */
  readonly bodyBytes?: number;
  /** PEM texts. With them HTTP/2 and HTTP/1.1 are spoken over TLS. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  /**
   * Origins whose pages may read the answers, and change what is here; `*` for any, without credentials. Default: none but
   * the server's own.
   */
  readonly corsOrigins?: readonly string[];
  /**
   * Names that requests may have in `Host`, beside loopback ones; with a port, only on that one. Default: none on a loopback
   * `host`, against DNS rebinding; any on another.
   */
  readonly allowedHosts?: readonly string[];
  /** Told what a handler throws. Default: `console.error`. */
  readonly onError?: (error: unknown) => void;
}

const kinds: Readonly<Record<keyof ServerOptions, readonly Kind[]>> = {
  host: ["string"],
  port: ["number"],
  noDelay: ["boolean"],
  linger: ["boolean"],
  bufferBytes: ["number"],
  bodyBytes: ["number"],
  tls: ["object"],
  corsOrigins: ["array"],
  allowedHosts: ["array"],
  onError: ["function"],
};

/**
 * A request, with the parameters of its path, and who it is from where the route has `authorize`. Over HTTP/2 it is what
 * Node has in its place.
 */
export type ServerRequest<P extends string = string> = IncomingMessage & {
  readonly params: PathParams<P>;
  readonly identity: Identity;
  /** The body, which must say that it is `application/json`; what is no JSON is answered 400, what is too large 413. */
  json(): Promise<unknown>;
};

/** A route's own options. */
export interface ServerRouteOptions {
  /** Who may: asked with the action, and no channels. Default: anyone. */
  readonly authorize?: Authorize;
  /** What `authorize` is asked about. Default: `subscribe` for a `get`, and `publish` for what may change something. */
  readonly action?: Action;
}

/**
 * Answers a request: writes to the response, or returns what is to be the answer, a string as HTML and anything else as
 * JSON.
 */
export type ServerHandler<P extends string> = (request: ServerRequest<P>, response: ServerResponse) => unknown;

/** What a server can be given beside its own routes: a hub. */
interface Mountable {
  node(request: NodeRequest, response: NodeResponse): Promise<boolean>;
  close(): Promise<void>;
}

/** A small server, for an application in one file. */
export interface Server {
  get<P extends string>(path: P, handler: ServerHandler<P>, options?: ServerRouteOptions): Server;
  post<P extends string>(path: P, handler: ServerHandler<P>, options?: ServerRouteOptions): Server;
  put<P extends string>(path: P, handler: ServerHandler<P>, options?: ServerRouteOptions): Server;
  delete<P extends string>(path: P, handler: ServerHandler<P>, options?: ServerRouteOptions): Server;
  /** A stream for each client, as `eventStream` makes it. */
  stream<P extends string, E extends object = AnyEvents>(
    path: P,
    handler: StreamHandler<ServerRequest<P>, unknown[], E>,
    options?: EventStreamOptions<ServerRequest<P>>,
  ): Server;
  /** Sends clients elsewhere; `to` may have the parameters of `from`. Default status 307: the method stays. */
  redirect(from: string, to: string, status?: 301 | 302 | 303 | 307 | 308): Server;
  /** Answers a hub's routes too. `stop()` closes it. */
  use(hub: Mountable): Server;
  /** Listens, and answers with its URL; called again, with the same. Rejects when the address cannot be had, or it was stopped. */
  run(): Promise<string>;
  /**
   * Accepts no more, ends streams (their clients come back, to whoever is there then), then what is left. It does not run
   * again.
   */
  stop(): Promise<void>;
}

interface Entry {
  readonly method: string;
  readonly pattern: PathPattern;
  readonly handler: ServerHandler<string>;
  readonly options: ServerRouteOptions;
}

/**
 * Makes a server.
 *
 *     const server = createServer({ port: 3000 });
 *     server.stream("/events/:channel", async (stream, request) => {
 *       await stream.send({ data: `welcome to ${request.params.channel}` });
 *     });
 *     await server.run();
 *
 * @throws MillraceError `invalid_option`
 */
export function createServer(options: ServerOptions = {}): Server {
  checkOptionKinds("createServer", options, kinds);
  const { host = "127.0.0.1", port = 3000, linger = false } = options;
  const onError = guarded(options.onError ?? ((error) => console.error(error)));
  checkNumber("bodyBytes", options.bodyBytes, 1, Infinity);
  if (linger !== false) throw invalidOption("linger", linger, "it is false: a close never discards, and never waits");
  const intake = new Intake(withDefaults(defaultLimits, { bodyBytes: options.bodyBytes }));
  const cors = { origins: (options.corsOrigins ?? []).map(originOf), loopback: false };
  const isLocal = isLoopbackHost(host.includes(":") ? `[${host}]` : host);
  const hosts = (options.allowedHosts ?? (isLocal ? [] : undefined))?.map(hostOf);
  const entries: Entry[] = [];
  const streams: Pick<EventStreamRoute<never>, "close">[] = [];
  const hubs: Mountable[] = [];
  let listening: Promise<Listener> | undefined;
  let stopped = false;

  const dispatch = async (request: NodeRequest, response: NodeResponse, exchange: Exchange) => {
    const { method, path } = exchange;
    const known: string[] = [];
    for (const { method: its, pattern, handler, options } of entries) {
      const params = pattern.match(path);
      if (!params) continue;
      known.push(its);
      if (its !== method && !(its === "GET" && method === "HEAD")) continue;
      const acts = its !== "GET" && its !== "OPTIONS";
      if (acts && !isTrusted(exchange, cors)) throw forbiddenOrigin();
      const { authorize, action = acts ? "publish" : "subscribe" } = options;
      const identity = authorize ? await admit(authorize, exchange, action, []) : {};
      const json = () => readJson(exchange, intake);
      const named = Object.assign(request as IncomingMessage, { params, identity, json });
      for (const [name, value] of Object.entries(corsHeaders(exchange, cors))) response.setHeader(name, value);
      reply(response, await handler(named, response as ServerResponse));
      return;
    }
    if (known.length > 0 && method === "OPTIONS") return exchange.respond(204, preflight(exchange, cors, known));
    if (known.length > 0) {
      throw new Problem(405, "method_not_allowed", `${path} knows ${known.join(", ")}`, { allow: known.join(", ") });
    }
    for (const hub of hubs) if (await hub.node(request, response)) return;
    respondNotFound(request, response);
  };

  const onRequest = (request: NodeRequest, response: NodeResponse) => {
    const exchange = nodeExchange(request, response, []);
    if (!exchange) return;
    const failed = (error: unknown) => {
      onError(error);
      if (response.headersSent) response.destroy(); // what was begun must not look as if it were whole
    };
    void answering(exchange, { cors, onError: failed, allowedHosts: hosts }, () =>
      dispatch(request, response, exchange),
    );
  };

  const add = (method: string, path: string, handler: ServerHandler<string>, options: ServerRouteOptions = {}) => {
    entries.push({ method, pattern: new PathPattern(path), handler, options });
    return server;
  };
  const adding =
    (method: string): Server["get"] =>
    (path, handler, routeOptions) =>
      add(method, path, handler as ServerHandler<string>, routeOptions);

  const server: Server = {
    get: adding("GET"),
    post: adding("POST"),
    put: adding("PUT"),
    delete: adding("DELETE"),
    stream: (path, handler, streamOptions) => {
      const route = eventStream(handler, { onError, corsOrigins: cors.origins, ...streamOptions });
      streams.push(route);
      add("OPTIONS", path, route as ServerHandler<string>); // it has origins of its own
      return add("GET", path, route as ServerHandler<string>);
    },
    redirect: (from, to, status = 307) => {
      const target = new PathPattern(to);
      const known = new PathPattern(from).params;
      const strange = target.params.find((name) => !known.includes(name));
      if (strange !== undefined) throw invalidOption("redirect", to, `${from} has no parameter :${strange}`);
      return add("GET", from, ({ params }, response) => {
        response
          .writeHead(status, {
            "content-length": "0",
            location: target.fill(params as Readonly<Record<string, string>>),
          })
          .end();
      });
    },
    use: (hub) => {
      hubs.push(hub);
      return server;
    },
    run: async () => {
      if (stopped) throw new MillraceError("closed", "this server was stopped: make another");
      // The promise, not what comes of it: a second call meanwhile would ask for the address once more.
      listening ??= listen({ ...options, host, port, onRequest }).catch((error) => {
        listening = undefined;
        throw error;
      });
      return (await listening).url;
    },
    stop: async () => {
      stopped = true;
      const listener = await listening?.catch(() => undefined);
      listener?.stop();
      await Promise.all([...streams, ...hubs].map((part) => part.close()));
      await listener?.close();
    },
  };
  return server;
}

function preflight(exchange: Exchange, cors: CorsOptions, methods: readonly string[]): Headers {
  const headers = preflightHeaders(exchange, cors);
  const allow = [...new Set(methods)].join(", ");
  const allowed = "access-control-allow-methods" in headers ? { "access-control-allow-methods": allow } : {};
  return { ...plainHeaders, ...headers, ...allowed, allow: `${allow}, OPTIONS` };
}

/** What a handler returned. */
function reply(response: NodeResponse, value: unknown): void {
  if (value === undefined || response.headersSent) return;
  const [type, text] = typeof value === "string" ? ["text/html", value] : ["application/json", JSON.stringify(value)];
  if (!response.hasHeader("content-type")) response.setHeader("content-type", `${type}; charset=utf-8`);
  response.end(text);
}
