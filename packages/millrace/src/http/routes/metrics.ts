import type { Api } from "../api.js";
import { admit } from "../authorize.js";
import type { Exchange, Headers } from "../exchange.js";
import { Problem } from "../problem.js";

/** GET /metrics: the figures, where there are any. */
export async function showMetrics(api: Api, exchange: Exchange, headers: Headers): Promise<void> {
  await admit(api.authorize, exchange, "metrics", []);
  if (!api.metrics) throw new Problem(404, "not_found", "this hub has no metrics");
  const { type, text } = await api.metrics();
  exchange.respond(200, { ...headers, "content-type": type }, text);
}
