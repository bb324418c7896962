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
  /** The server's own request: `IncomingMessage`, `Http2ServerRequest`, `Request`, or `EventsRequest`. */
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
  return admitted(await authorize(request, { action, channels }));
}

/** The identity that an application answered. @throws Problem 401 or 403 when it refused; TypeError when it is neither */
export function admitted<T extends Identity>(answered: T | Refusal): T {
  const answer = checked(answered);
  if (!("refuse" in answer)) {
    if ((answer.expiresAtMs ?? Infinity) <= Date.now()) throw unauthorized("these credentials have expired");
    return answer;
  }
  if (answer.refuse === 401) throw unauthorized(answer.reason ?? "credentials are needed: send Authorization: Bearer");
  throw new Problem(403, "forbidden", answer.reason ?? "these credentials do not allow it");
}

const unauthorized = (reason: string): Problem =>
  new Problem(401, "unauthorized", reason, { "www-authenticate": "Bearer" });

/**
 * Types do not reach an application in JavaScript, nor what came out of a token: a user that is a number read nothing of
 * its own, and a time that is NaN never came.
 */
function checked<T extends Identity>(answer: T | Refusal): T | Refusal {
  const mistake = (what: string, value: unknown, right: string) =>
    new TypeError(`authorize answered ${what}${show(value)}: it is ${right}`);
  if (typeof answer !== "object" || answer === null) {
    throw mistake("", answer, 'an identity, such as { user: "ann" } or {}, or { refuse: 401 | 403 }');
  }
  if ("refuse" in answer) {
    const { refuse } = answer;
    if (refuse !== 401 && refuse !== 403) throw mistake("refuse: ", refuse, "401 or 403");
    return answer;
  }
  const { user, roles, expiresAtMs } = answer;
  if (user !== undefined && (typeof user !== "string" || user === "")) {
    throw mistake("user: ", user, "a string that is not empty");
  }
  if (roles !== undefined && !(Array.isArray(roles) && roles.every((role) => typeof role === "string"))) {
    throw mistake("roles: ", roles, "an array of strings");
  }
  if (expiresAtMs !== undefined && (typeof expiresAtMs !== "number" || Number.isNaN(expiresAtMs))) {
    throw mistake("expiresAtMs: ", expiresAtMs, "a number, in milliseconds since 1970");
  }
  return answer;
}

const show = (value: unknown): string =>
  typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));

/** What an application gets that names no rule: anyone may read, nobody else may do anything over HTTP. */
export const readOnly: Authorize = (_request, { action }): Identity | Refusal => {
  if (action === "subscribe" || action === "metrics") return {};
  return { refuse: 403, reason: `${action} over HTTP is not allowed here: give createHub an authorize function` };
};
