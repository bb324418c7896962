import { everyMsBounds, type Form, forms, isEveryMs } from "../hub/index.js";
import { defaultChannel } from "../protocol/index.js";
import type { Api } from "./api.js";
import type { Exchange } from "./exchange.js";
import { channelList, readMembers } from "./members.js";
import { Problem } from "./problem.js";
import { parseQuery } from "./query.js";

/** What a subscriber asks for, wherever it wrote it. */
export interface Wanted {
  readonly channels: readonly string[];
  readonly lastEventId?: string;
  readonly rewind?: number | "all";
  readonly form: Form;
  readonly poll: boolean;
  /** How long a poll waits at most for something to say. Undefined: as long as the hub lets it. */
  readonly waitMs?: number;
  readonly conflate: boolean;
  /** Undefined: it is written to whenever something comes. */
  readonly everyMs: number | undefined;
}

const parameters = ["channel", "rewind", "lastEventId", "format", "mode", "wait", "conflate", "every", "ticket"];
const members = ["channels", "rewind", "lastEventId", "format", "mode", "wait", "conflate", "every"];

/** What a request asks for. @throws Problem 400 */
export const wantedBy = (api: Api, exchange: Exchange): Wanted | Promise<Wanted> =>
  exchange.method === "POST" ? fromBody(api, exchange) : fromQuery(api, exchange.query);

/** What a query asks for, where the application names the channels: its other parameters are the application's. */
export function wantedOn(channels: readonly string[], query: string): Wanted {
  const given = Object.fromEntries(parseQuery(query).filter(([name]) => parameters.includes(name)));
  const { rewind, lastEventId, format, mode, wait, conflate, every } = given;
  return wantedOf({ channels, rewind, lastEventId, format, mode, wait, conflate, every });
}

function fromQuery({ allowedParameters, gate }: Api, query: string): Wanted {
  const channels: string[] = [];
  const once = new Map<string, string>();
  for (const [name, value] of parseQuery(query)) {
    if (name === "channel") {
      channels.push(value);
      if (channels.length > gate.limits.channels) {
        throw new Problem(
          400,
          "too_many_channels",
          `an address may name ${gate.limits.channels} channels: POST a longer list to this address as {"channels":[…]}`,
        );
      }
    } else if (parameters.includes(name)) {
      if (once.has(name)) throw new Problem(400, "invalid_parameter", `parameter ${name} may be given once`);
      once.set(name, value);
    } else if (!allowedParameters.includes(name)) {
      throw new Problem(
        400,
        "unknown_parameter",
        `unknown parameter ${JSON.stringify(name)}: known are ${parameters.join(", ")}`,
      );
    }
  }
  return wantedOf({
    channels: orDefault(channels),
    lastEventId: once.get("lastEventId"),
    rewind: once.get("rewind"),
    format: once.get("format"),
    mode: once.get("mode"),
    wait: once.get("wait"),
    conflate: once.get("conflate"),
    every: once.get("every"),
  });
}

async function fromBody(api: Api, exchange: Exchange): Promise<Wanted> {
  const example = '{"channels":["news","chat/*"]}';
  const { channels, rewind, lastEventId, format, mode, wait, conflate, every } = await readMembers(
    api,
    exchange,
    members,
    example,
  );
  if (conflate !== undefined && typeof conflate !== "boolean") {
    throw new Problem(400, "invalid_member", "conflate must be true or false");
  }
  return wantedOf({
    channels: orDefault(channelList(api, "channels", channels)),
    rewind: typeof rewind === "number" ? String(rewind) : text("rewind", rewind, "a whole number or a string"),
    lastEventId: text("lastEventId", lastEventId),
    format: text("format", format),
    mode: text("mode", mode),
    wait: text("wait", wait),
    conflate: conflate ? "1" : undefined,
    every: text("every", every),
  });
}

/** Who names no channel means this one; an application that chooses none means none. */
const orDefault = (channels: readonly string[]): readonly string[] =>
  channels.length > 0 ? channels : [defaultChannel];

function text(name: string, value: unknown, form = "a string"): string | undefined {
  if (value === undefined || typeof value === "string") return value;
  throw new Problem(400, "invalid_member", `${name} must be ${form}`);
}

function wantedOf(raw: {
  channels: readonly string[];
  lastEventId: string | undefined;
  rewind: string | undefined;
  format: string | undefined;
  mode: string | undefined;
  wait: string | undefined;
  conflate: string | undefined;
  every: string | undefined;
}): Wanted {
  const { channels, lastEventId, rewind, format = "event", mode = "stream", wait, conflate, every } = raw;
  const known = (name: string, value: string, values: readonly string[]) => {
    if (values.includes(value)) return;
    throw new Problem(
      400,
      "invalid_parameter",
      `${name} is ${JSON.stringify(value)}: it may be ${values.join(" or ")}`,
    );
  };
  known("format", format, forms);
  known("mode", mode, ["stream", "poll"]);
  if (rewind !== undefined && rewind !== "all" && !/^\d{1,9}$/.test(rewind))
    known("rewind", rewind, ["all", "a whole number"]);
  if (conflate !== undefined) known("conflate", conflate, ["1"]);
  const everyMs = every === undefined ? undefined : everyMsOf(every);
  if (everyMs !== undefined && mode === "poll") {
    throw new Problem(400, "invalid_parameter", "every is for streams: a poll is answered with what is there");
  }
  if (wait !== undefined && mode !== "poll") {
    throw new Problem(400, "invalid_parameter", "wait is for polls: give mode=poll with it");
  }
  return {
    channels,
    form: format as Form,
    poll: mode === "poll",
    ...(wait === undefined ? {} : { waitMs: waitMsOf(wait) }),
    conflate: conflate !== undefined || everyMs !== undefined,
    everyMs,
    ...(lastEventId ? { lastEventId } : {}),
    ...(rewind === undefined ? {} : { rewind: rewind === "all" ? ("all" as const) : Number(rewind) }),
  };
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A time such as `250ms`; NaN when it is none. */
function millisecondsOf(text: string): number {
  const [, count, unit = ""] = /^(\d{1,7})(ms|s|m|h)$/.exec(text) ?? [];
  return Number(count) * (unitMs[unit] ?? Number.NaN);
}

/** The time between two writes, as `every` says it. @throws Problem 400 */
function everyMsOf(every: string): number {
  const ms = millisecondsOf(every);
  if (isEveryMs(ms)) return ms;
  const { least, most } = everyMsBounds;
  throw new Problem(
    400,
    "invalid_parameter",
    `every is ${JSON.stringify(every)}: it may be such as 250ms or 5s, from ${least}ms to ${most / 3_600_000}h`,
  );
}

const mostWaitMs = 25_000;

/** How long a poll waits, as `wait` says it. @throws Problem 400 */
function waitMsOf(wait: string): number {
  const ms = wait === "0" ? 0 : millisecondsOf(wait);
  if (ms <= mostWaitMs) return ms;
  throw new Problem(
    400,
    "invalid_parameter",
    `wait is ${JSON.stringify(wait)}: it may be 0, or such as 500ms or 5s, up to ${mostWaitMs / 1000}s`,
  );
}
