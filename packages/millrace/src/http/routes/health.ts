import type { Api } from "../api.js";
import type { Exchange, Headers } from "../exchange.js";
import { Problem, retryLater } from "../problem.js";

/** GET /health: the process runs. */
export function health(_api: Api, exchange: Exchange, headers: Headers): void {
  exchange.respond(200, { ...headers, "content-type": "application/json" }, '{"status":"ok"}\n');
}

/** GET /ready: it accepts publishes. */
export function ready({ hub }: Api, exchange: Exchange, headers: Headers): void {
  const reason = hub.draining ? "shutting down" : hub.log.stats().writable ? undefined : "the store cannot be written";
  if (reason !== undefined) throw new Problem(503, "not_ready", `not ready: ${reason}`, retryLater(5));
  exchange.respond(200, { ...headers, "content-type": "application/json" }, '{"status":"ready"}\n');
}
