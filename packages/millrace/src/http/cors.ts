import type { Exchange, Headers } from "./exchange.js";
import { Problem } from "./problem.js";

export interface CorsOptions {
  /** Origins whose pages may use the hub, such as `https://app.example.com`; `*` for any, without credentials. */
  readonly origins: readonly string[];
  /** Whether pages of a loopback origin may read, without credentials: for a hub on loopback. */
  readonly loopback: boolean;
}

const exposed = "Millrace-Position, Millrace-Connection, Millrace-Heartbeat-Ms, Millrace-More, Retry-After";
const allowedHeaders = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Cache-Control";

/** The headers that let a page of another origin read the answer; none when it may not. */
export function corsHeaders(exchange: Exchange, { origins, loopback }: CorsOptions, method = exchange.method): Headers {
  const origin = exchange.header("origin");
  const vary = { vary: "Origin" };
  if (origin === undefined) return origins.length > 0 || loopback ? vary : {};
  if (origins.includes(origin)) {
    return {
      ...vary,
      "access-control-allow-origin": origin,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": exposed,
    };
  }
  // Never the origin itself together with credentials: that would let any page act as its visitor.
  if (origins.includes("*") || (loopback && isReading(exchange, method) && isLoopbackOrigin(origin))) {
    return {
      ...vary,
      "access-control-allow-origin": origins.includes("*") ? "*" : origin,
      "access-control-expose-headers": exposed,
    };
  }
  return vary;
}

/** The answer to a preflight request. */
export function preflightHeaders(exchange: Exchange, options: CorsOptions): Headers {
  const headers = corsHeaders(exchange, options, exchange.header("access-control-request-method"));
  if (!("access-control-allow-origin" in headers)) return headers;
  return {
    ...headers,
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": allowedHeaders,
    "access-control-max-age": "600",
  };
}

/** POST /events reads as well: it is GET with a long selection. So does changing the selection of a stream. */
const isReading = ({ path }: Exchange, method: string): boolean =>
  method === "GET" || method === "HEAD" || (method === "POST" && (path === "/events" || isChannelsPath(path)));

/** `/connections/ID/channels`. */
export const isChannelsPath = (path: string): boolean => /^\/connections\/[^/]+\/channels$/.test(path);

/** Whether a page may do that: change state only if it is of the hub's own origin, or of an allowed one. */
export const mayAct = (exchange: Exchange, options: CorsOptions): boolean =>
  isReading(exchange, exchange.method) || isTrusted(exchange, options);

/** Whether it comes from no page, from one of the server's own origin, or of an allowed one. */
export function isTrusted(exchange: Exchange, { origins }: CorsOptions): boolean {
  const origin = exchange.header("origin");
  if (origin === undefined || origins.includes(origin) || origins.includes("*")) return true;
  const host = exchange.header("host");
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}

export const forbiddenOrigin = (): Problem =>
  new Problem(
    403,
    "forbidden_origin",
    "pages of this origin may not do that: corsOrigins (--cors-origin) names those that may",
  );

function isLoopbackOrigin(origin: string): boolean {
  return /^https?:\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|[a-z0-9-]+\.localhost)(?::\d+)?$/i.test(origin);
}

/** Whether a Host names this machine: a page that reached us by DNS rebinding has another (CVE-2025-66414). */
export function isLoopbackHost(host: string): boolean {
  return isLoopbackOrigin(`http://${host}`);
}
