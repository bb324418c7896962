import { everyMsBounds, type Form, forms, type Identity, isEveryMs } from "../hub/index.js";
import { answering } from "./answering.js";
import type { Api } from "./api.js";
import { type AnyRefusal, admitted } from "./authorize.js";
import { preflightHeaders } from "./cors.js";
import type { Exchange, Headers } from "./exchange.js";
import { streamHeaders } from "./headers.js";
import { type AnyRequest, mounted, type Route } from "./mounted.js";
import { explained, Problem } from "./problem.js";
import { follow } from "./routes/subscribe.js";
import { type Wanted, wantedOn } from "./wanted.js";

/** What a client is to follow, and who it is. */
export interface Following extends Identity {
  /** Names: no character of theirs means more. Default: none, so that only what comes to the user and the roles does. */
  readonly channels?: string | readonly string[];
  /** All channels that begin so. Each ends with "/"; "" is every channel but those of users and roles. Default: none. */
  readonly prefixes?: string | readonly string[];
  /** Where a client begins that comes for the first time: so many entries back, or at the oldest. Default: at the tail. */
  readonly rewind?: number | "all";
  /** Default: what the client asks for by `?format=`, or `event`. */
  readonly form?: Form;
  /** Whether it is given of each key of a channel the latest event only. Default: what the client asks for by `?conflate=1`. */
  readonly conflate?: boolean;
  /**
   * It is written to once in so many milliseconds at most, conflated: a whole number from 10 to 3,600,000. Default: what
   * the client asks for by `?every=250ms`. A poll is conflated only.
   */
  readonly everyMs?: number;
  /**
   * Whether the client may change its channels, by `POST /connections/ID/channels`, to any that the hub's `authorize` lets
   * it. Default false: what was selected stays.
   */
  readonly change?: boolean;
}

/**
 * Says what a request is to follow: one channel, several, or all that `Following` has; or refuses it, by 401, 403 or 404.
 * It is given what the route was given.
 */
export type Select<R, Rest extends readonly unknown[] = unknown[]> = (
  request: R,
  ...rest: Rest
) => Selected | Promise<Selected>;

type Selected = string | readonly string[] | Following | AnyRefusal;

/**
 * Makes a route on which clients follow what the application chooses. The client has `rewind`, `lastEventId`, `format`,
 * `mode`, `wait`, `conflate` and `every` as at `/events`, as far as the application does not say it.
 */
export function hubStream<R extends AnyRequest, Rest extends unknown[]>(
  api: Api,
  trustedProxies: readonly string[],
  select: Select<R, Rest>,
): Route<R, Rest> {
  const { cors } = api;
  return mounted<R, Rest>(
    (exchange, rest) =>
      answering(
        exchange,
        api,
        (headers) => {
          const { method } = exchange;
          if (method === "OPTIONS") return exchange.respond(204, { ...headers, ...preflightHeaders(exchange, cors) });
          if (method !== "GET" && method !== "HEAD") {
            throw new Problem(405, "method_not_allowed", `${exchange.path} knows GET`, { allow: "GET, HEAD" });
          }
          return answer(api, exchange, headers, () => select(exchange.raw as R, ...rest));
        },
        "hub.stream",
      ),
    trustedProxies,
  );
}

async function answer(
  api: Api,
  exchange: Exchange,
  headers: Headers,
  select: () => Selected | Promise<Selected>,
): Promise<void> {
  const following = followingOf(await select());
  const { channels = [], prefixes = [], rewind, form, conflate, everyMs, change = false, ...identity } = following;
  await explained(async () => {
    const patterns = [...listOf(channels).map(exactName), ...listOf(prefixes).map(patternOf)];
    if (exchange.method === "HEAD") return exchange.respond(200, { ...headers, ...streamHeaders });
    const wanted = wantedOn(patterns, exchange.query);
    const mine: Wanted = {
      ...{ ...wanted, ...(rewind === undefined ? {} : { rewind }), ...(form === undefined ? {} : { form }) },
      conflate: conflate ?? (wanted.conflate || everyMs !== undefined),
      everyMs: conflate === false ? undefined : (everyMs ?? wanted.everyMs),
    };
    await follow(api, exchange, headers, mine, () => ({ ...identity, change }));
  });
}

/** @throws Problem 401, 403 or 404; TypeError when the application answered something else */
function followingOf(selected: Selected): Following {
  const names = typeof selected === "string" || Array.isArray(selected);
  const following = admitted(names ? { channels: selected as string | string[] } : (selected as Following), "select");
  const { channels, prefixes, user, roles, rewind, form, conflate, everyMs } = following;
  const mistake = (what: string, right: string) => new TypeError(`select answered ${what}: it is ${right}`);
  if (channels === undefined && prefixes === undefined && user === undefined && roles === undefined) {
    throw mistake("nothing to follow", "a channel, several, or { channels, prefixes, user, roles }");
  }
  for (const [name, value] of Object.entries({ channels, prefixes })) {
    const isText = value === undefined || [value].flat().every((one) => typeof one === "string");
    if (!isText) throw mistake(`${name}: ${JSON.stringify(value)}`, "a text, or a list of texts");
  }
  if (rewind !== undefined && rewind !== "all" && !(Number.isSafeInteger(rewind) && rewind >= 0)) {
    throw mistake(`rewind: ${JSON.stringify(rewind)}`, 'a whole number, or "all"');
  }
  if (form !== undefined && !forms.includes(form)) throw mistake(`form: ${JSON.stringify(form)}`, forms.join(" or "));
  if (conflate !== undefined && typeof conflate !== "boolean") {
    throw mistake(`conflate: ${JSON.stringify(conflate)}`, "true or false");
  }
  if (everyMs !== undefined && (!isEveryMs(everyMs) || conflate === false)) {
    const { least, most } = everyMsBounds;
    throw mistake(`everyMs: ${JSON.stringify(everyMs)}`, `a whole number from ${least} to ${most}, and conflates`);
  }
  return following;
}

const listOf = (given: string | readonly string[]): readonly string[] => (typeof given === "string" ? [given] : given);

/** A name may come from an address. There, `*` in the place of an id would be everybody's. */
function exactName(name: string): string {
  if (!name.includes("*")) return name;
  throw new Problem(400, "invalid_channel", `channel ${quote(name)} holds "*": the channels of this address are names`);
}

function patternOf(prefix: string): string {
  if (prefix === "" || prefix.endsWith("/")) return `${prefix}*`;
  throw new Problem(400, "invalid_channel", `prefix ${quote(prefix)} does not end with "/"`);
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 100));
