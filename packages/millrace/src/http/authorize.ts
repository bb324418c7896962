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
  /** The server's own request: `IncomingMessage`, `Http2ServerRequest`, `Request`, or `FrontRequest`. */
  readonly raw: unknown;
}

/** No credentials: 401. Bad ones, or not enough: 403. */
export interface Refusal {
  readonly refuse: 401 | 403;
  /** Told to the client: no secrets. */
  readonly reason?: string;
}

/** What a refusal may be where a path is the application's own. */
export type AnyRefusal = Refusal | { readonly refuse: 404; readonly reason?: string };

/** `channels` are those of the request, `prefix/*` included; empty for `inspect` and `metrics`. */
export type Authorize = (
  request: AccessRequest,
  access: { readonly action: Action; readonly channels: readonly string[] },
) => Identity | Refusal | Promise<Identity | Refusal>;

/** Asks, and turns a refusal into its answer. */
export function admit(
  authorize: Authorize,
  exchange: Exchange,
  action: Action,
  channels: readonly string[],
): Identity | Promise<Identity> {
  const { method, path, query, remoteAddress, raw } = exchange;
  const request = {
    method,
    path,
    query,
    remoteAddress,
    raw,
    header: (name: string) => exchange.header(name.toLowerCase()),
  };
  const answered = authorize(request, { action, channels });
  return isThenable(answered) ? Promise.resolve(answered).then((answer) => admitted(answer)) : admitted(answered);
}

/** By what it can do, as `await` asks: an application's promises need not be of the standard's class. */
const isThenable = <T>(value: T | Promise<T>): value is Promise<T> =>
  typeof (value as { then?: unknown } | null)?.then === "function";

/** The identity that an application answered. @throws Problem when it refused; TypeError when it is neither */
export function admitted<T extends Identity>(answered: T | AnyRefusal, asked: Asked = "authorize"): T {
  const answer = checked(answered, asked);
  if (!("refuse" in answer)) {
    if ((answer.expiresAtMs ?? Infinity) <= Date.now()) throw unauthorized("these credentials have expired");
    return answer;
  }
  if (answer.refuse === 401) throw unauthorized(answer.reason ?? "credentials are needed: send Authorization: Bearer");
  if (answer.refuse === 404) throw new Problem(404, "not_found", answer.reason ?? "there is nothing to follow here");
  throw new Problem(403, "forbidden", answer.reason ?? "these credentials do not allow it");
}

/** Which function of the application was asked, and how it may refuse. */
type Asked = keyof typeof refusals;
const refusals = { authorize: [401, 403], select: [401, 403, 404] };

const unauthorized = (reason: string): Problem =>
  new Problem(401, "unauthorized", reason, { "www-authenticate": "Bearer" });

/**
 * Types do not reach an application in JavaScript, nor what came out of a token: a user that is a number read nothing of
 * its own, and a time that is NaN never came.
 */
function checked<T extends Identity>(answer: T | AnyRefusal, asked: Asked): T | AnyRefusal {
  const mistake = (what: string) => new TypeError(`${asked} answered ${what}`);
  if (typeof answer !== "object" || answer === null) {
    const right = `an identity, such as { user: "ann" } or {}, or { refuse: ${refusals[asked].join(" | ")} }`;
    throw mistake(`${show(answer)}: it is ${right}`);
  }
  if ("refuse" in answer) {
    const { refuse } = answer;
    if (!refusals[asked].includes(refuse)) {
      throw mistake(`refuse: ${show(refuse)}: it is ${refusals[asked].join(" or ")}`);
    }
    return answer;
  }
  const wrong = mistakeIn(answer);
  if (wrong !== undefined) throw mistake(wrong);
  return answer;
}

/** What is wrong with an identity, and what would be right. */
export function mistakeIn({ user, roles, expiresAtMs, change }: Identity): string | undefined {
  const mistake = (what: string, value: unknown, right: string) => `${what}: ${show(value)}: it is ${right}`;
  if (user !== undefined && (typeof user !== "string" || user === "")) {
    return mistake("user", user, "a string that is not empty");
  }
  if (roles !== undefined && !(Array.isArray(roles) && roles.every((role) => typeof role === "string"))) {
    return mistake("roles", roles, "an array of strings");
  }
  if (expiresAtMs !== undefined && (typeof expiresAtMs !== "number" || Number.isNaN(expiresAtMs))) {
    return mistake("expiresAtMs", expiresAtMs, "a number, in milliseconds since 1970");
  }
  if (change !== undefined && typeof change !== "boolean") return mistake("change", change, "true or false");
  return undefined;
}

const show = (value: unknown): string =>
  typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));

/** What an application gets that names no rule: anyone may read, nobody else may do anything over HTTP. */
export const readOnly: Authorize = (_request, { action }): Identity | Refusal => {
  if (action === "subscribe" || action === "metrics") return {};
  return { refuse: 403, reason: `${action} over HTTP is not allowed here: give createHub an authorize function` };
};
