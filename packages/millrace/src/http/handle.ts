import { answering } from "./answering.js";
import type { Api } from "./api.js";
import { forbiddenOrigin, isChannelsPath, mayAct, preflightHeaders } from "./cors.js";
import { type Exchange, type Headers, hasBody } from "./exchange.js";
import { plainHeaders } from "./headers.js";
import { Problem, problemOf } from "./problem.js";
import { changeChannels, endConnection, listConnections } from "./routes/connections.js";
import { health, ready } from "./routes/health.js";
import { showMetrics } from "./routes/metrics.js";
import { publish } from "./routes/publish.js";
import { subscribe } from "./routes/subscribe.js";

type Handler = (api: Api, exchange: Exchange, headers: Headers) => Promise<void> | void;

/** Handlers by method. Maps, because on Fetch a method may be called `constructor`, and an object has one. */
type Route = ReadonlyMap<string, Handler>;

const route = (handlers: Readonly<Record<string, Handler>>): Route => new Map(Object.entries(handlers));

const routes: ReadonlyMap<string, Route> = new Map([
  ["/events", route({ GET: subscribe, POST: subscribe })],
  ["/publish", route({ POST: publish })],
  ["/connections", route({ GET: listConnections, HEAD: listConnections })],
  ["/connections/*", route({ DELETE: endConnection })],
  ["/connections/*/channels", route({ POST: changeChannels })],
  ["/health", route({ GET: health, HEAD: health })],
  ["/ready", route({ GET: ready, HEAD: ready })],
  ["/metrics", route({ GET: showMetrics, HEAD: showMetrics })],
]);

/** Answers a request for one of the hub's routes. Undefined: the path is none of them, and nothing is answered. */
export function handle(api: Api, exchange: Exchange): Promise<void> | undefined {
  const pattern = patternOf(exchange.path);
  const handlers = routes.get(pattern);
  return handlers && answering(exchange, api, (headers) => dispatch(api, exchange, headers, handlers), pattern);
}

function patternOf(path: string): string {
  if (!path.startsWith("/connections/")) return path;
  return isChannelsPath(path) ? "/connections/*/channels" : "/connections/*";
}

async function dispatch(api: Api, exchange: Exchange, headers: Headers, handlers: Route): Promise<void> {
  const { method } = exchange;
  if (method === "OPTIONS") {
    return exchange.respond(204, {
      ...plainHeaders,
      ...preflightHeaders(exchange, api.cors),
      allow: allowedBy(handlers),
    });
  }
  const handler = handlers.get(method);
  if (!handler) {
    const allow = allowedBy(handlers);
    throw new Problem(405, "method_not_allowed", `${exchange.path} knows ${allow}`, { allow });
  }
  if (method !== "POST" && hasBody(exchange)) {
    throw new Problem(400, "unexpected_body", `${method} takes no body: send the request without one`);
  }
  if (!mayAct(exchange, api.cors)) throw forbiddenOrigin();
  try {
    await handler(api, exchange, headers);
  } catch (error) {
    throw problemOf(error) ?? error;
  }
}

const allowedBy = (handlers: Route): string => [...handlers.keys(), "OPTIONS"].join(", ");
