import { type ConnectOptions, type Form, forms, type Hub } from "../../hub/index.js";
import { closedId, cursorBlock, defaultChannel, maxTimerMs, parseSelection } from "../../protocol/index.js";
import { PollSink } from "../../sink/index.js";
import type { Api } from "../api.js";
import { admit } from "../authorize.js";
import type { Exchange, Headers } from "../exchange.js";
import { streamHeaders } from "../headers.js";
import { readJson } from "../json.js";
import { Problem } from "../problem.js";
import { parseQuery } from "../query.js";

/** How many times more channels a body may name than an address: a selection is kept for as long as its stream. */
const bodyFactor = 10;
/** What a subscriber asks for, wherever it wrote it. */
interface Wanted {
  readonly channels: string[];
  readonly lastEventId?: string;
  readonly rewind?: number | "all";
  readonly form: Form;
  readonly poll: boolean;
}

const parameters = ["channel", "rewind", "lastEventId", "format", "mode"];
const members = ["channels", "rewind", "lastEventId", "format", "mode"];

/** GET /events, and POST /events with a long selection in its body. */
export async function subscribe(api: Api, exchange: Exchange, headers: Headers): Promise<void> {
  const { hub, gate, authorize } = api;
  const wanted = exchange.method === "POST" ? await fromBody(api, exchange) : fromQuery(api, exchange.query);
  // The header first: the native EventSource repeats its address, and in it an old cursor, at every reconnect.
  const lastEventId = exchange.header("last-event-id") || wanted.lastEventId;
  if (lastEventId === closedId) {
    exchange.respond(204, headers); // the standard's way to end reconnecting
    return;
  }
  const selection = parseSelection(wanted.channels);
  const identity = await admit(authorize, exchange, "subscribe", wanted.channels);
  if (exchange.gone) return;
  if (hub.draining)
    throw new Problem(503, "closed", "the hub is shutting down: come back in a moment", { "retry-after": "1" });
  const { remoteAddress } = exchange;
  const options: ConnectOptions = {
    selection,
    identity,
    form: wanted.form,
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
    ...(lastEventId ? { lastEventId } : {}),
    ...(wanted.rewind === undefined ? {} : { rewind: wanted.rewind }),
  };
  gate.enter(remoteAddress, identity.user);
  if (wanted.poll) await poll(api, exchange, options, headers);
  else stream(hub, exchange, options, headers);
}

function stream(hub: Hub, exchange: Exchange, options: ConnectOptions, headers: Headers): void {
  hub.connect(options, (id, position) =>
    exchange.stream({
      ...headers,
      ...streamHeaders,
      "millrace-connection": id,
      "millrace-position": position,
      "millrace-heartbeat-ms": String(hub.heartbeatMs),
    }),
  );
}

/** One read of the log, or, at the tail, the wait for the next entries. Resolves when it is answered. */
async function poll({ hub, gate }: Api, exchange: Exchange, options: ConnectOptions, headers: Headers): Promise<void> {
  const answer = (body: readonly Uint8Array[], position: string) => {
    exchange.respond(200, { ...headers, ...streamHeaders, "millrace-position": position }, Buffer.concat(body));
  };
  if (options.lastEventId === undefined && options.rewind === undefined) {
    const position = hub.position();
    answer([Buffer.from(cursorBlock(position))], position);
    return;
  }
  const sink = new PollSink();
  const subscriber = hub.connect({ ...options, quiet: true }, () => sink);
  const timer = setTimeout(() => sink.end(), Math.min(gate.limits.pollMs, maxTimerMs));
  timer.unref();
  exchange.onGone(() => sink.end());
  const { body, farewell } = await sink.answer;
  clearTimeout(timer);
  const position = hub.positionOf(subscriber);
  answer(farewell ? body : [...body, Buffer.from(cursorBlock(position))], position);
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
    channels,
    lastEventId: once.get("lastEventId"),
    rewind: once.get("rewind"),
    format: once.get("format"),
    mode: once.get("mode"),
  });
}

async function fromBody(api: Api, exchange: Exchange): Promise<Wanted> {
  for (const [name] of parseQuery(exchange.query)) {
    if (api.allowedParameters.includes(name)) continue;
    throw new Problem(
      400,
      "unknown_parameter",
      `${JSON.stringify(name)} belongs in the body: known are ${members.join(", ")}`,
    );
  }
  const body = await readJson(exchange, api.intake);
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Problem(400, "invalid_body", 'the body is an object such as {"channels":["news","chat/*"]}');
  }
  for (const name of Object.keys(body)) {
    if (!members.includes(name)) {
      throw new Problem(
        400,
        "unknown_member",
        `unknown member ${JSON.stringify(name)}: known are ${members.join(", ")}`,
      );
    }
  }
  const { channels = [], rewind, lastEventId, format, mode } = body as { [name: string]: unknown };
  if (!Array.isArray(channels) || !channels.every((channel) => typeof channel === "string")) {
    throw new Problem(400, "invalid_member", "channels must be an array of strings");
  }
  const most = api.gate.limits.channels * bodyFactor;
  if (channels.length > most) {
    throw new Problem(400, "too_many_channels", `a body may name ${most} channels: use a prefix, such as "news/*"`);
  }
  return wantedOf({
    channels: channels as string[],
    rewind: typeof rewind === "number" ? String(rewind) : text("rewind", rewind, "a whole number or a string"),
    lastEventId: text("lastEventId", lastEventId),
    format: text("format", format),
    mode: text("mode", mode),
  });
}

function text(name: string, value: unknown, form = "a string"): string | undefined {
  if (value === undefined || typeof value === "string") return value;
  throw new Problem(400, "invalid_member", `${name} must be ${form}`);
}

function wantedOf(raw: {
  channels: string[];
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
    channels: channels.length > 0 ? channels : [defaultChannel],
    form: format as Form,
    poll: mode === "poll",
    ...(lastEventId ? { lastEventId } : {}),
    ...(rewind === undefined ? {} : { rewind: rewind === "all" ? ("all" as const) : Number(rewind) }),
  };
}
