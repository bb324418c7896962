import type { IncomingMessage, ServerResponse } from "node:http";
import type { Api } from "./http/api.js";
import { readOnly } from "./http/authorize.js";
import type { Conversation, FrontRequest } from "./http/conversation.js";
import { type FetchInfo, handleFetch } from "./http/fetch.js";
import { handleFront } from "./http/front-exchange.js";
import { guarded } from "./http/guarded.js";
import { hubStream, type Select } from "./http/hub-stream.js";
import { Intake } from "./http/intake.js";
import { defaultLimits, Gate } from "./http/limits.js";
import type { AnyRequest, Route } from "./http/mounted.js";
import { handleNode, type NodeRequest, type NodeResponse, respondNotFound } from "./http/node.js";
import { hostOf, originOf } from "./http/origins.js";
import { type Connection, type ConnectionFilter, Hub } from "./hub/index.js";
import { createMemoryLog, type Log } from "./log/index.js";
import { checkOptions, type MillraceOptions } from "./options.js";
import { type AnyEvents, checkFunction, withDefaults } from "./protocol/index.js";

/**
 * A hub inside an application: publish from anywhere, and mount `stream`, `node` or `fetch` for clients. `E` names its
 * events, each with the type of its data.
 */
export interface Millrace<E extends object = AnyEvents>
  extends Pick<Hub<E>, "publish" | "broadcast" | "sendToConnection" | "sendToUser" | "sendToRole">,
    Pick<Hub<E>, "subscribe" | "changeChannels" | "disconnect" | "watchers" | "whileWatched" | "run">,
    Pick<Hub<E>, "position" | "stats" | "close" | "draining"> {
  readonly log: Log;
  /**
   * Those who are connected; with a filter, who of them reads a channel, by its name or by a prefix, or is a user.
   * @throws MillraceError `invalid_channel`
   */
  connections(filter?: ConnectionFilter): Iterable<Connection>;
  connection(id: string): Connection | undefined;
  /** The connections of one user. */
  connectionsOf(user: string): Iterable<Connection>;
  /** Answers the hub's routes on `node:http` and `node:http2`. Resolves to false when the path is none of them. */
  node(request: NodeRequest, response: NodeResponse): Promise<boolean>;
  /** Answers what `listen` of `millrace/http` has read itself: its `onFront`. `authorize` gets that request as `raw`. */
  front(request: FrontRequest, conversation?: Conversation): void;
  /** As a listener of a server of its own: other paths are answered 404. */
  listener(request: IncomingMessage, response: ServerResponse): void;
  /**
   * Answers the hub's routes on a Fetch runtime. Resolves to undefined when the path is none of them. Caps and rates for
   * each address need `info.remoteAddress`: a `Request` does not know where it came from.
   */
  fetch(request: Request, info?: FetchInfo): Promise<Response | undefined>;
  /**
   * Makes a route of the application's own, behind its own middleware, on which clients follow what it chooses.
   *
   *     app.get("/feed", authenticate, hub.stream((request) => ({ channels: "news", user: request.user.id })));
   *
   * @throws MillraceError `invalid_option`
   */
  stream<R extends AnyRequest = AnyRequest, Rest extends unknown[] = unknown[]>(
    select: Select<R, Rest>,
  ): Route<R, Rest>;
}

/**
 * Makes a hub.
 *
 *     const hub = createHub<{ headline: { title: string } }>();
 *     app.get("/news", hub.stream(() => "news"));
 *     await hub.publish({ channel: "news", event: "headline", data: { title: "It runs" } });
 *
 * @throws MillraceError `invalid_option`
 */
export function createHub<E extends object = AnyEvents>(options?: MillraceOptions): Millrace<E>;
export function createHub(options?: MillraceOptions): Millrace; // last, for `ReturnType<typeof createHub>`
export function createHub(options: MillraceOptions = {}): Millrace {
  checkOptions(options);
  const {
    log = createMemoryLog(),
    authorize = readOnly,
    corsOrigins = [],
    loopbackOrigins: loopback = false,
    allowedHosts,
    allowedParameters = [],
    compression = false,
    trustedProxies = [],
    onAnswer = () => {},
    heartbeatMs = 15_000,
  } = options;
  const onError = guarded(options.onError ?? ((error) => console.error(error)));
  const cors = { origins: corsOrigins.map(originOf), loopback };
  const hosts = allowedHosts?.map(hostOf);
  const limits = withDefaults(defaultLimits, options.limits);
  const hub = new Hub({ ...options, log, onError, heartbeatMs: heartbeatMs === Infinity ? 0 : heartbeatMs });
  const api: Api = {
    hub,
    authorize,
    allowedHosts: hosts,
    allowedParameters,
    compression,
    onAnswer,
    onError,
    cors,
    gate: new Gate(limits, hub),
    intake: new Intake(limits),
    metrics: options.metrics,
  };
  const node = (request: NodeRequest, response: NodeResponse) => handleNode(api, trustedProxies, request, response);
  return Object.assign(hub, {
    node,
    front: (request: FrontRequest, conversation?: Conversation) =>
      handleFront(api, trustedProxies, request, conversation),
    listener: (request: IncomingMessage, response: ServerResponse) => {
      node(request, response).then((answered) => {
        if (!answered) respondNotFound(request, response);
      }, onError);
    },
    fetch: (request: Request, info?: FetchInfo) => handleFetch(api, request, info),
    stream: <R extends AnyRequest = AnyRequest, Rest extends unknown[] = unknown[]>(select: Select<R, Rest>) => {
      checkFunction("stream", select, '(request) => "news"');
      return hubStream(api, trustedProxies, select);
    },
  });
}
