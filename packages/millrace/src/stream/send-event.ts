import { type AnyEvents, closedId, dataText, encodeBlock, eventName, MillraceError } from "../protocol/index.js";

interface SendFields {
  /** What the client comes back with as `Last-Event-ID`. At most 1,024 bytes. */
  readonly id?: string | undefined;
  /** Tells the client to wait so many milliseconds before it reconnects. */
  readonly retry?: number | undefined;
  /** Where it comes from: a field of Millrace, which a native `EventSource` ignores. */
  readonly channel?: string | undefined;
}

/** The name and the data of one event of the map `E`: `message` is what clients receive an event as that has no name. */
type SendNamed<E extends object, N extends keyof E> = (N extends "message"
  ? { readonly event?: N | undefined }
  : { readonly event: N }) & { readonly data: E[N] };

/** An event as a handler sends it to one client; of the map `E`, which names each event with the type of its data. */
export type SendEvent<E extends object = AnyEvents> = SendFields &
  (string extends keyof E
    ? {
        /** The event's type. Without it clients receive it as `message`. */
        readonly event?: string | undefined;
        /** A string goes out as it is, each of its lines in one of the stream; anything else as JSON. */
        readonly data?: unknown;
      }
    : { [N in keyof E]: SendNamed<E, N> }[keyof E] | { readonly event?: undefined; readonly data?: undefined });

/** What `send` takes: an event, or a text as the data of one without a name. */
export type Sendable<E extends object = AnyEvents> =
  | SendEvent<E>
  | (string extends keyof E ? string : E extends { message: string } ? string : never);

/** An event of a hub may be passed on as it is: its key and time stay behind. */
const members = ["event", "id", "data", "retry", "channel", "key", "timeMs"];
/** A client sends it back in the head of its next request. */
const maxIdBytes = 1024;

/**
 * An event as the stream carries it.
 * @throws MillraceError `invalid_event`
 */
export function encodeSendEvent(sent: unknown): string {
  if (typeof sent === "string") return encodeBlock({ data: dataText(sent) });
  if (typeof sent !== "object" || sent === null || Array.isArray(sent)) {
    throw invalid(
      'an event is a text, or an object such as { event: "tick", data: 1 }; any value goes as { data: value }',
    );
  }
  for (const member of Object.keys(sent)) {
    if (!members.includes(member)) {
      throw invalid(`unknown member ${JSON.stringify(member)}: an event has ${members.slice(0, 5).join(", ")}`);
    }
  }
  const { id, retry, channel, data, ...rest } = sent as SendEvent;
  const event = eventName(rest.event);
  if (id !== undefined) checkId(id);
  if (channel !== undefined && typeof channel !== "string") throw invalid("channel must be a string");
  if ("data" in sent && data === undefined) throw invalid("data is undefined: leave it out, or send null");
  // A client dispatches nothing without data, and whoever names an event means one.
  const text = data !== undefined ? dataText(data) : event === undefined ? undefined : "";
  return encodeBlock({ id, event, channel, retry, data: text });
}

function checkId(id: unknown): void {
  if (typeof id !== "string") throw invalid(`id must be a string: it is ${typeof id}`);
  if (id === closedId) throw invalid(`id ${closedId} is reserved: close({ reconnect: false }) sends it`);
  if (!id.isWellFormed()) throw invalid("id holds half of a surrogate pair, which UTF-8 cannot carry");
  if (Buffer.byteLength(id) > maxIdBytes) throw invalid(`id has more than ${maxIdBytes} bytes`);
}

const invalid = (message: string): MillraceError => new MillraceError("invalid_event", message);
