import { answering } from "./answering.js";
import type { Answer, Api } from "./api.js";
import { isChannelsPath, isLoopbackHost, mayAct, preflightHeaders } from "./cors.js";
import { type Exchange, type Headers, hasBody } from "./exchange.js";
import { plainHeaders } from "./headers.js";
import { Problem } from "./problem.js";
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

/** Answers a request for one of the hub's routes. False: the path is none of them, and nothing was answered. */
export async function handle(api: Api, exchange: Exchange): Promise<boolean> {
  const pattern = patternOf(exchange.path);
  const handlers = routes.get(pattern);
  if (!handlers) return false;
  const startMs = performance.now();
  const { cors, onError } = api;
  await answering(exchange, { cors, onError, check: () => checkHost(api, exchange) }, (headers) =>
    dispatch(api, exchange, headers, handlers),
  );
  const { method, status } = exchange;
  if (status !== 0) tell(api, { method, status, route: pattern, durationMs: performance.now() - startMs });
  return true;
}

function patternOf(path: string): string {
  if (!path.startsWith("/connections/")) return path;
  return isChannelsPath(path) ? "/connections/*/channels" : "/connections/*";
}

/** What an application does with it must not undo the answer. */
function tell({ onAnswer, onError }: Api, answer: Answer): void {
  try {
    onAnswer(answer);
  } catch (error) {
    onError(error);
  }
}

function dispatch(api: Api, exchange: Exchange, headers: Headers, handlers: Route): Promise<void> | void {
  const { method, path } = exchange;
  const allow = [...handlers.keys(), "OPTIONS"].join(", ");
  if (method === "OPTIONS") {
    return exchange.respond(204, { ...plainHeaders, ...preflightHeaders(exchange, api.cors), allow });
  }
  const handler = handlers.get(method);
  if (!handler) throw new Problem(405, "method_not_allowed", `${path} knows ${allow}`, { allow });
  if (method !== "POST" && hasBody(exchange)) {
    throw new Problem(400, "unexpected_body", `${method} takes no body: send the request without one`);
  }
  if (!mayAct(exchange, api.cors)) {
    throw new Problem(
      403,
      "forbidden_origin",
      "pages of this origin may not do that: the hub's corsOrigins (--cors-origin) name those that may",
    );
  }
  return handler(api, exchange, headers);
}

function checkHost({ allowedHosts }: Api, exchange: Exchange): void {
  if (!allowedHosts) return;
  const host = exchange.header("host") ?? "";
  const known = host.toLowerCase().replace(/\.(?=:\d+$|$)/, "");
  if (isLoopbackHost(host) || allowedHosts.includes(known) || allowedHosts.includes(known.replace(/:\d+$/, ""))) return;
  throw new Problem(
    403,
    "forbidden_host",
    `this hub is not known as ${JSON.stringify(host.slice(0, 100))}: allowedHosts (--allowed-host) adds a name, for a proxy in front of it`,
  );
}
