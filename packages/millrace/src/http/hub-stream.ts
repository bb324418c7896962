import type { Form, Identity } from "../hub/index.js";
import { answering } from "./answering.js";
import type { Api } from "./api.js";
import { admitted, type Refusal } from "./authorize.js";
import { preflightHeaders } from "./cors.js";
import type { Exchange, Headers } from "./exchange.js";
import { streamHeaders } from "./headers.js";
import { type AnyRequest, mounted, type Route } from "./mounted.js";
import { Problem } from "./problem.js";
import { follow } from "./routes/subscribe.js";
import { wantedOn } from "./wanted.js";

/** What a client is to follow, and who it is. */
export interface Following extends Identity {
  /** Names and `prefix/*`. */
  readonly channels: string | readonly string[];
  /** Where a client begins that comes for the first time: so many entries back, or at the oldest. Default: at the tail. */
  readonly rewind?: number | "all";
  /** Default: what the client asks for by `?format=`, or `event`. */
  readonly form?: Form;
}

/**
 * Says what a request is to follow: one channel, several, or all that `Following` has; or refuses it. It is given what the
 * route was given.
 */
export type Select<R, Rest extends readonly unknown[] = unknown[]> = (
  request: R,
  ...rest: Rest
) => Selected | Promise<Selected>;

type Selected = string | readonly string[] | Following | Refusal;

/**
 * Makes a route on which clients follow what the application chooses. The client has `rewind`, `lastEventId`, `format` and
 * `mode` as at `/events`; `rewind` as far as the application names none.
 */
export function hubStream<R extends AnyRequest, Rest extends unknown[]>(
  api: Api,
  trustedProxies: readonly string[],
  select: Select<R, Rest>,
): Route<R, Rest> {
  const { cors, onError } = api;
  return mounted<R, Rest>(
    (exchange, rest) =>
      answering(exchange, { cors, onError }, (headers) => {
        const { method } = exchange;
        if (method === "OPTIONS") return exchange.respond(204, { ...headers, ...preflightHeaders(exchange, cors) });
        if (method !== "GET" && method !== "HEAD") {
          throw new Problem(405, "method_not_allowed", `${exchange.path} knows GET`, { allow: "GET, HEAD" });
        }
        return answer(api, exchange, headers, () => select(exchange.raw as R, ...rest));
      }),
    trustedProxies,
  );
}

async function answer(
  api: Api,
  exchange: Exchange,
  headers: Headers,
  select: () => Selected | Promise<Selected>,
): Promise<void> {
  const selected = await select();
  const { channels, rewind, form, ...identity } = followingOf(selected);
  if (exchange.method === "HEAD") return exchange.respond(200, { ...headers, ...streamHeaders });
  const wanted = wantedOn(typeof channels === "string" ? [channels] : channels, exchange.query);
  const mine = { ...wanted, ...(rewind === undefined ? {} : { rewind }), ...(form === undefined ? {} : { form }) };
  await follow(api, exchange, headers, mine, () => identity);
}

/** @throws Problem 401 or 403; TypeError when the application answered something else */
function followingOf(selected: Selected): Following {
  if (typeof selected === "string" || Array.isArray(selected)) return { channels: selected as string | string[] };
  const following = admitted(selected as Following | Refusal);
  if (following.channels === undefined)
    throw new TypeError("select answered no channels: a name, several, or { channels }");
  return following;
}
