import { MillraceError } from "./errors.js";
import { assertChannel, breaksLine, defaultChannel, maxNameBytes, reservedEventPrefix } from "./names.js";
import { quote, utf8Bytes } from "./text.js";

/** What any hub may be sent, when nothing is said of its events. */
export type AnyEvents = Record<string, unknown>;

interface EventOptions {
  /** 1 to 256 bytes. Default `general`. */
  readonly channel?: string;
  /** What the event is the latest value of, for conflation. At most 256 bytes. */
  readonly key?: string;
  /** Tells clients to wait so many milliseconds before they reconnect. */
  readonly retry?: number;
}

/** The name and the data of one event: `message` is what clients receive an event as that has no name. */
type Named<E extends object, N extends keyof E> = (N extends "message"
  ? { readonly event?: N }
  : { readonly event: N }) & { readonly data: E[N] };

/** One of the events of the map `E`, which names each with the type of its data. */
type EventOf<E extends object> = string extends keyof E
  ? {
      /** The event's type, at most 256 bytes. Without it clients receive it as `message`. */
      readonly event?: string;
      /** A string goes out as it is, anything else as JSON. */
      readonly data: unknown;
    }
  : { [N in keyof E]: Named<E, N> }[keyof E];

/** An event as an application publishes it. */
export type PublishEvent<E extends object = AnyEvents> = EventOptions & EventOf<E>;

/** An event for those whom its sender names: it has no channel. */
export type AddressedEvent<E extends object = AnyEvents> = Omit<EventOptions, "channel"> & EventOf<E>;

/** An event that was checked: what a log accepts. */
export interface CheckedEvent {
  readonly channel: string;
  readonly event: string | undefined;
  readonly data: string;
  /** Whether `data` was published as something other than a string. */
  readonly json: boolean;
  readonly key: string | undefined;
  readonly retry: number | undefined;
}

const members = ["data", "channel", "event", "key", "retry"];

/**
 * Checks an event that may come from anywhere.
 * @throws MillraceError `invalid_event` or `invalid_channel`, with what is wrong and what is known
 */
export function checkEvent(input: unknown): CheckedEvent {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw invalid(`an event is an object such as {"channel":"news","data":"hello"}: this is ${kind(input)}`);
  }
  for (const member of Object.keys(input)) {
    if (!members.includes(member)) throw invalid(`unknown member ${quote(member)}: an event has ${members.join(", ")}`);
  }
  const { channel = defaultChannel, event, data, key, retry } = input as { [member: string]: unknown };
  if (typeof channel !== "string") throw invalid(`channel must be a string: it is ${kind(channel)}`);
  assertChannel(channel);
  const name = eventName(event);
  if (retry !== undefined && !(Number.isSafeInteger(retry) && (retry as number) >= 0)) {
    throw invalid(`retry must be a whole number of milliseconds, 0 or more: it is ${kind(retry)}`);
  }
  return {
    channel,
    event: name,
    data: dataText(data),
    json: typeof data !== "string",
    key: label("key", key),
    retry: retry as number | undefined,
  };
}

/** @throws MillraceError `invalid_event` unless it is undefined, or a name that an application may give an event */
export function eventName(value: unknown): string | undefined {
  const name = label("event", value);
  if (!name?.startsWith(reservedEventPrefix)) return name;
  throw invalid(`event ${quote(name)} is reserved: names that begin with "${reservedEventPrefix}" are Millrace's own`);
}

/**
 * What goes out as `data`: a string as it is, anything else as JSON.
 * @throws MillraceError `invalid_event` when it can be neither
 */
export function dataText(data: unknown): string {
  if (typeof data !== "string") return json(data);
  if (data.isWellFormed()) return data;
  throw invalid("data holds half of a surrogate pair, which UTF-8 cannot carry");
}

function label(name: "event" | "key", value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw invalid(`${name} must be a string: it is ${kind(value)}`);
  const bytes = utf8Bytes(value);
  if (bytes < 1 || bytes > maxNameBytes) {
    throw invalid(`${name} must be valid text of 1 to ${maxNameBytes} bytes: leave it out when there is none`);
  }
  if (breaksLine(value)) throw invalid(`${name} ${quote(value)} holds CR, LF or NUL, which a stream cannot carry`);
  return value;
}

function json(data: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch (cause) {
    throw new MillraceError("invalid_event", `data cannot be written as JSON: ${(cause as Error).message}`, { cause });
  }
  if (text === undefined) throw invalid(`data is missing, or is ${kind(data)}, which JSON cannot carry`);
  return text;
}

const invalid = (message: string) => new MillraceError("invalid_event", message);

function kind(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "string") return `the string ${quote(value)}`;
  if (typeof value === "number") return `the number ${value}`;
  return typeof value === "object" ? "an object" : `${typeof value}`;
}
