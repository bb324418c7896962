import type { IncomingMessage, ServerResponse } from "node:http";
import type { Identity } from "../hub/index.js";
import { checkNumber, invalidOption, withDefaults } from "../protocol/index.js";
import type { StreamHandler } from "../stream/index.js";
import { answering } from "./answering.js";
import { type Authorize, admit } from "./authorize.js";
import { type EventStreamOptions, type EventStreamRoute, eventStream } from "./event-stream.js";
import type { Exchange } from "./exchange.js";
import { Intake } from "./intake.js";
import { readJson } from "./json.js";
import { defaultLimits } from "./limits.js";
import { type Listener, listen } from "./listener.js";
import { type NodeRequest, type NodeResponse, nodeExchange, respondNotFound } from "./node.js";
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
  /** Told what a handler throws. Default: `console.error`. */
  readonly onError?: (error: unknown) => void;
}

/** A request, with the parameters of its path, and who it is from where the route has `authorize`. Over HTTP/2 it is what Node has in its place. */
export type ServerRequest<P extends string = string> = IncomingMessage & {
  readonly params: PathParams<P>;
  readonly identity: Identity;
  /** The body, which must say that it is `application/json`; what is no JSON is answered 400, what is too large 413. */
  json(): Promise<unknown>;
};

/** A route's own options. */
export interface ServerRouteOptions {
  /** Who may: asked as for a stream, with the action `subscribe` and no channels. Default: anyone. */
  readonly authorize?: Authorize;
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
  stream<P extends string>(
    path: P,
    handler: StreamHandler<ServerRequest<P>>,
    options?: EventStreamOptions<ServerRequest<P>>,
  ): Server;
  /** Sends clients elsewhere; `to` may have the parameters of `from`. Default status 307: the method stays. */
  redirect(from: string, to: string, status?: 301 | 302 | 303 | 307 | 308): Server;
  /** Answers a hub's routes too. `stop()` closes it. */
  use(hub: Mountable): Server;
  /** Listens, and answers with its URL. Rejects when the address cannot be had. */
  run(): Promise<string>;
  /** Accepts no more, ends streams (their clients come back, to whoever is there then), then what is left. */
  stop(): Promise<void>;
}

interface Entry {
  readonly method: string;
  readonly pattern: PathPattern;
  readonly handler: ServerHandler<string>;
  readonly authorize: Authorize | undefined;
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
  const { host = "127.0.0.1", port = 3000, linger = false, onError = (error) => console.error(error) } = options;
  checkNumber("bodyBytes", options.bodyBytes, 1, Infinity);
  if (linger !== false) throw invalidOption("linger", linger, "it is false: a close never discards, and never waits");
  const intake = new Intake(withDefaults(defaultLimits, { bodyBytes: options.bodyBytes }));
  const entries: Entry[] = [];
  const streams: Pick<EventStreamRoute<never>, "close">[] = [];
  const hubs: Mountable[] = [];
  let listener: Listener | undefined;

  const dispatch = async (request: NodeRequest, response: NodeResponse, exchange: Exchange) => {
    const { method, path } = exchange;
    const known: string[] = [];
    for (const { method: its, pattern, handler, authorize } of entries) {
      const params = pattern.match(path);
      if (!params) continue;
      known.push(its);
      if (its !== method && !(its === "GET" && method === "HEAD")) continue;
      const identity = authorize ? await admit(authorize, exchange, "subscribe", []) : {};
      const json = () => readJson(exchange, intake);
      const named = Object.assign(request as IncomingMessage, { params, identity, json });
      reply(response, await handler(named, response as ServerResponse));
      return;
    }
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
    void answering(exchange, { cors: { origins: [], loopback: false }, onError: failed }, () =>
      dispatch(request, response, exchange),
    );
  };

  const add = (method: string, path: string, handler: ServerHandler<string>, authorize?: Authorize) => {
    entries.push({ method, pattern: new PathPattern(path), handler, authorize });
    return server;
  };
  const adding =
    (method: string): Server["get"] =>
    (path, handler, { authorize } = {}) =>
      add(method, path, handler as ServerHandler<string>, authorize);

  const server: Server = {
    get: adding("GET"),
    post: adding("POST"),
    put: adding("PUT"),
    delete: adding("DELETE"),
    stream: (path, handler, streamOptions) => {
      const route = eventStream(handler, { onError, ...streamOptions });
      streams.push(route);
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
      listener ??= await listen({ ...options, host, port, onRequest });
      return listener.url;
    },
    stop: async () => {
      listener?.stop();
      await Promise.all([...streams, ...hubs].map((part) => part.close()));
      await listener?.close();
    },
  };
  return server;
}

/** What a handler returned. */
function reply(response: NodeResponse, value: unknown): void {
  if (value === undefined || response.headersSent) return;
  const [type, text] = typeof value === "string" ? ["text/html", value] : ["application/json", JSON.stringify(value)];
  if (!response.hasHeader("content-type")) response.setHeader("content-type", `${type}; charset=utf-8`);
  response.end(text);
}
