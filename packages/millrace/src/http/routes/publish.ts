import type { Identity } from "../../hub/index.js";
import { type CheckedEvent, checkEvent, MillraceError, maxNameBytes } from "../../protocol/index.js";
import type { Api } from "../api.js";
import { admit } from "../authorize.js";
import type { Exchange, Headers } from "../exchange.js";
import { mediaType, parseJson, readText } from "../json.js";
import { Problem } from "../problem.js";

const example = `curl -X POST URL/publish -H 'Content-Type: application/json' -d '{"channel":"news","data":"hello"}'`;

/** POST /publish: one event, an array of them, or NDJSON. All are accepted, or none. */
export async function publish(
  { hub, gate, intake, authorize }: Api,
  exchange: Exchange,
  headers: Headers,
): Promise<void> {
  if (exchange.query !== "")
    throw new Problem(400, "unknown_parameter", "publish takes no parameters: everything is in the body");
  const type = mediaType(exchange);
  // Also the guard against pages of other sites: a form cannot send these types, and fetch asks first.
  if (type !== "application/json" && type !== "application/x-ndjson") {
    throw new Problem(
      415,
      "unsupported_media_type",
      `send JSON as application/json, or a line for each event as application/x-ndjson: ${example}`,
    );
  }
  const key = exchange.header("idempotency-key");
  if (key !== undefined) checkKey(key);
  const text = readText(exchange, intake);
  const body = typeof text === "string" ? text : await text;
  const events = type === "application/json" ? fromJson(body) : fromLines(body);
  const admitted = admit(authorize, exchange, "publish", channelsOf(events));
  const identity = admitted instanceof Promise ? await admitted : admitted;
  if (hub.draining) throw new MillraceError("closed", "the hub is shutting down: publish again in a moment");
  if (gate.limits.publishRate < Infinity) gate.spend(publisherOf(identity, exchange), events.length);
  const ids = await hub.append(events, key === undefined ? undefined : { idempotencyKey: ownKey(identity, key) });
  const position = ids.at(-1) as string;
  exchange.respond(
    200,
    { ...headers, "content-type": "application/json", "millrace-position": position },
    `{"ids":${JSON.stringify(ids)}}\n`,
  );
}

const channelsOf = (events: readonly CheckedEvent[]): string[] =>
  events.length === 1 ? [(events[0] as CheckedEvent).channel] : [...new Set(events.map(({ channel }) => channel))];

const publisherOf = ({ user }: Identity, { remoteAddress }: Exchange): string =>
  user === undefined ? `address ${remoteAddress}` : `user ${user}`;

function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes >= 1 && bytes <= maxNameBytes) return;
  throw new Problem(400, "invalid_event", `an Idempotency-Key has 1 to ${maxNameBytes} bytes: this one has ${bytes}`);
}

/** Each user's own: with keys that all share, one publisher could take the key that another is about to use. */
const ownKey = ({ user }: Identity, key: string): string => (user === undefined ? key : JSON.stringify([user, key]));

function fromJson(body: string): CheckedEvent[] {
  const value = parseJson(body, "the body");
  if (!Array.isArray(value)) return [checkEvent(value)];
  if (value.length === 0) throw new Problem(400, "invalid_event", "the array is empty: there is nothing to publish");
  return value.map((event, at) => located(`event ${at + 1} of ${value.length}`, () => checkEvent(event)));
}

function fromLines(body: string): CheckedEvent[] {
  const events: CheckedEvent[] = [];
  for (const [at, line] of body.split("\n").entries()) {
    if (line.trim() === "") continue;
    const what = `line ${at + 1}`;
    events.push(located(what, () => checkEvent(parseJson(line, what))));
  }
  if (events.length === 0)
    throw new Problem(400, "invalid_event", "the body has no lines: there is nothing to publish");
  return events;
}

/** Says which of many events an error is about. */
function located<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw new MillraceError(error.code, `${what}: ${error.message}`);
  }
}
