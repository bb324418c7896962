import { type Form, forms } from "../hub/index.js";
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
}

const parameters = ["channel", "rewind", "lastEventId", "format", "mode", "ticket"];
const members = ["channels", "rewind", "lastEventId", "format", "mode"];

/** What a request asks for. @throws Problem 400 */
export const wantedBy = (api: Api, exchange: Exchange): Wanted | Promise<Wanted> =>
  exchange.method === "POST" ? fromBody(api, exchange) : fromQuery(api, exchange.query);

/** What a query asks for, where the application names the channels: its other parameters are the application's. */
export function wantedOn(channels: readonly string[], query: string): Wanted {
  const given = Object.fromEntries(parseQuery(query).filter(([name]) => parameters.includes(name)));
  const { rewind, lastEventId, format, mode } = given;
  return wantedOf({ channels, rewind, lastEventId, format, mode });
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
  });
}

async function fromBody(api: Api, exchange: Exchange): Promise<Wanted> {
  const example = '{"channels":["news","chat/*"]}';
  const { channels, rewind, lastEventId, format, mode } = await readMembers(api, exchange, members, example);
  return wantedOf({
    channels: orDefault(channelList(api, "channels", channels)),
    rewind: typeof rewind === "number" ? String(rewind) : text("rewind", rewind, "a whole number or a string"),
    lastEventId: text("lastEventId", lastEventId),
    format: text("format", format),
    mode: text("mode", mode),
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
}): Wanted {
  const { channels, lastEventId, rewind, format = "event", mode = "stream" } = raw;
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
  return {
    channels,
    form: format as Form,
    poll: mode === "poll",
    ...(lastEventId ? { lastEventId } : {}),
    ...(rewind === undefined ? {} : { rewind: rewind === "all" ? ("all" as const) : Number(rewind) }),
  };
}
