import type { Identity } from "../hub/index.js";
import type { Exchange } from "./exchange.js";
import { Problem } from "./problem.js";

/** `publish` and `subscribe` concern channels; `inspect` is the list of connections and ending them; `metrics` the figures. */
export type Action = "publish" | "subscribe" | "inspect" | "metrics";

/** What an application is asked. */
export interface AccessRequest {
  readonly method: string;
  readonly path: string;
  /** What follows the question mark, as it came. */
  readonly query: string;
  readonly remoteAddress: string | undefined;
  header(name: string): string | undefined;
  /** The server's own request: `IncomingMessage`, `Http2ServerRequest` or `Request`. */
  readonly raw: unknown;
}

/** No credentials: 401. Bad ones, or not enough: 403. */
export interface Refusal {
  readonly refuse: 401 | 403;
  /** Told to the client: no secrets. */
  readonly reason?: string;
}

/** `channels` are those of the request, `prefix/*` included; empty for `inspect` and `metrics`. */
export type Authorize = (
  request: AccessRequest,
  access: { readonly action: Action; readonly channels: readonly string[] },
) => Identity | Refusal | Promise<Identity | Refusal>;

/** Asks, and turns a refusal into its answer. */
export async function admit(
  authorize: Authorize,
  exchange: Exchange,
  action: Action,
  channels: readonly string[],
): Promise<Identity> {
  const { method, path, query, remoteAddress, raw } = exchange;
  const request = {
    method,
    path,
    query,
    remoteAddress,
    raw,
    header: (name: string) => exchange.header(name.toLowerCase()),
  };
  const answer = await authorize(request, { action, channels });
  if (!("refuse" in answer)) return answer;
  if (answer.refuse === 401) {
    const reason = answer.reason ?? "credentials are needed: send Authorization: Bearer";
    throw new Problem(401, "unauthorized", reason, { "www-authenticate": "Bearer" });
  }
  throw new Problem(403, "forbidden", answer.reason ?? "these credentials do not allow it");
}

/** What an application gets that names no rule: anyone may read, nobody else may do anything over HTTP. */
export const readOnly: Authorize = (_request, { action }): Identity | Refusal => {
  if (action === "subscribe" || action === "metrics") return {};
  return { refuse: 403, reason: `${action} over HTTP is not allowed here: give createHub an authorize function` };
};
