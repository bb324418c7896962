import type { Api } from "./api.js";
import { admit } from "./authorize.js";
import { endConnection, listConnections } from "./connections.js";
import { corsHeaders, isLoopbackHost, mayWrite, preflightHeaders } from "./cors.js";
import type { Exchange, Headers } from "./exchange.js";
import { plainHeaders } from "./headers.js";
import { Problem, problemOf, respondProblem } from "./problem.js";
import { publish } from "./publish.js";
import { subscribe } from "./subscribe.js";

type Handler = (api: Api, exchange: Exchange, headers: Headers) => Promise<void> | void;

const health: Handler = (_api, exchange, headers) => {
  exchange.respond(200, { ...headers, "content-type": "application/json" }, '{"status":"ok"}\n');
};

const ready: Handler = ({ hub }, exchange, headers) => {
  const reason = hub.draining ? "shutting down" : hub.log.stats().writable ? undefined : "the store cannot be written";
  const body = reason === undefined ? { status: "ready" } : { status: "not ready", reason };
  exchange.respond(
    reason === undefined ? 200 : 503,
    { ...headers, "content-type": "application/json" },
    `${JSON.stringify(body)}\n`,
  );
};

const metrics: Handler = async (api, exchange, headers) => {
  await admit(api.authorize, exchange, "metrics", []);
  if (!api.metrics) throw new Problem(404, "not_found", "this hub has no metrics");
  const { type, text } = await api.metrics();
  exchange.respond(200, { ...headers, "content-type": type }, text);
};

const routes: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  "/events": { GET: subscribe, POST: subscribe },
  "/publish": { POST: publish },
  "/connections": { GET: listConnections },
  "/connections/*": { DELETE: endConnection },
  "/health": { GET: health },
  "/ready": { GET: ready },
  "/metrics": { GET: metrics },
};

/** Answers a request for one of the hub's routes. False: the path is none of them, and nothing was answered. */
export async function handle(api: Api, exchange: Exchange): Promise<boolean> {
  const pattern = exchange.path.startsWith("/connections/") ? "/connections/*" : exchange.path;
  const route = Object.hasOwn(routes, pattern) ? routes[pattern] : undefined;
  if (!route) return false;
  const startMs = performance.now();
  let headers = plainHeaders;
  try {
    checkHost(api, exchange);
    headers = { ...plainHeaders, ...corsHeaders(exchange, api.cors) };
    const { method } = exchange;
    if (method === "OPTIONS") {
      exchange.respond(204, { ...plainHeaders, ...preflightHeaders(exchange, api.cors), allow: allow(route) });
      return true;
    }
    const handler = route[method === "HEAD" && exchange.path !== "/events" ? "GET" : method];
    if (!handler)
      throw new Problem(405, "method_not_allowed", `${exchange.path} knows ${allow(route)}`, { allow: allow(route) });
    if (method !== "GET" && method !== "HEAD" && !mayWrite(exchange, api.cors)) {
      throw new Problem(
        403,
        "forbidden_origin",
        "pages of this origin may not do that: the hub's --cors-origin names those that may",
      );
    }
    await handler(api, exchange, headers);
  } catch (error) {
    const problem = problemOf(error);
    if (!problem) api.onError(error);
    respondProblem(
      exchange,
      problem ?? new Problem(500, "internal", "something went wrong inside the hub: its log says what"),
      headers,
    );
  }
  const { method, status } = exchange;
  api.onAnswer({ method, status, route: pattern, durationMs: performance.now() - startMs });
  return true;
}

const allow = (route: object): string => [...Object.keys(route), "OPTIONS"].join(", ");

function checkHost({ allowedHosts }: Api, exchange: Exchange): void {
  if (exchange.hosts > 1) throw new Problem(400, "invalid_host", "a request has one Host");
  if (!allowedHosts) return;
  const host = exchange.header("host") ?? "";
  const name = host.replace(/:\d+$/, "").toLowerCase();
  if (isLoopbackHost(host) || allowedHosts.includes(name) || allowedHosts.includes(host.toLowerCase())) return;
  throw new Problem(
    403,
    "forbidden_host",
    `this hub is not known as ${JSON.stringify(host.slice(0, 100))}: --allowed-host adds a name, for a proxy in front of it`,
  );
}
