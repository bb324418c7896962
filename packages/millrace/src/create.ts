import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type Answer,
  type Api,
  type Authorize,
  defaultLimits,
  Gate,
  handleFetch,
  handleNode,
  type Limits,
  type NodeRequest,
  type NodeResponse,
  readOnly,
} from "./http/index.js";
import { type Connection, Hub, type HubOptions } from "./hub/index.js";
import { createMemoryLog, type Log } from "./log/index.js";

export interface MillraceOptions extends Omit<HubOptions, "log"> {
  /** Where events are kept. Default: in memory. `openDiskLog` of `millrace/log/disk` keeps them on disk. */
  readonly log?: Log;
  /** Who may do what over HTTP. Default: anyone may subscribe, nobody may publish. */
  readonly authorize?: Authorize;
  readonly limits?: Partial<Limits>;
  /** Origins whose pages may use the hub, `*` for any without credentials. Default: none but its own. */
  readonly corsOrigins?: readonly string[];
  /** Whether pages of a loopback origin may read. Default false; right for a hub that listens on loopback only. */
  readonly loopbackOrigins?: boolean;
  /** Names that requests may have in `Host`, beside loopback ones. Default: any. An empty list guards against DNS rebinding. */
  readonly allowedHosts?: readonly string[];
  /** Further parameters of `/events`, the application's own. */
  readonly allowedParameters?: readonly string[];
  /** Addresses of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies?: readonly string[];
  /** Told of each answer over HTTP; of a stream when it opens. */
  readonly onAnswer?: (answer: Answer) => void;
  /** Text for `/metrics`, with its content type. */
  readonly metrics?: () => Promise<{ type: string; text: string }>;
}

/** A hub inside an application: publish from anywhere, and mount `node` or `fetch` for clients. */
export interface Millrace extends Pick<Hub, "publish" | "subscribe" | "position" | "stats" | "close" | "draining"> {
  readonly log: Log;
  /** Those who are connected. */
  connections(): Iterable<Connection>;
  connection(id: string): Connection | undefined;
  /** The connections of one user. */
  connectionsOf(user: string): Iterable<Connection>;
  /** Ends a connection. `reconnect: false` tells its client not to come back, a native EventSource too. Default true. */
  disconnect(connection: Connection, options?: { reconnect?: boolean; reason?: string }): void;
  /** Answers the hub's routes on `node:http` and `node:http2`. Resolves to false when the path is none of them. */
  node(request: NodeRequest, response: NodeResponse): Promise<boolean>;
  /** As a listener of a server of its own: other paths are answered 404. */
  listener(request: IncomingMessage, response: ServerResponse): void;
  /** Answers the hub's routes on a Fetch runtime. Resolves to undefined when the path is none of them. */
  fetch(request: Request, remoteAddress?: string): Promise<Response | undefined>;
}

const notFound = { "content-type": "application/problem+json", "x-content-type-options": "nosniff" };
const nowhere = {
  type: "about:blank",
  title: "Not Found",
  status: 404,
  code: "not_found",
  detail: "no such route here",
};

/**
 * Makes a hub.
 *
 *     const hub = createHub();
 *     http.createServer(hub.listener).listen(4000);
 *     await hub.publish({ channel: "news", data: { title: "It runs" } });
 */
export function createHub(options: MillraceOptions = {}): Millrace {
  const {
    log = createMemoryLog(),
    authorize = readOnly,
    corsOrigins: origins = [],
    loopbackOrigins: loopback = false,
    allowedHosts,
    allowedParameters = [],
    trustedProxies = [],
    onAnswer = () => {},
    onError = (error) => console.error(error),
  } = options;
  const hub = new Hub({ ...options, log, onError });
  const api: Api = {
    hub,
    authorize,
    allowedHosts,
    allowedParameters,
    onAnswer,
    onError,
    gate: new Gate({ ...defaultLimits, ...options.limits }, hub),
    cors: { origins, loopback },
    metrics: options.metrics,
  };
  const node = (request: NodeRequest, response: NodeResponse) => handleNode(api, trustedProxies, request, response);
  return Object.assign(hub, {
    node,
    listener: (request: IncomingMessage, response: ServerResponse) => {
      node(request, response).then((answered) => {
        if (!answered) response.writeHead(404, notFound).end(JSON.stringify(nowhere));
      }, onError);
    },
    fetch: (request: Request, remoteAddress?: string) => handleFetch(api, request, remoteAddress),
  });
}
