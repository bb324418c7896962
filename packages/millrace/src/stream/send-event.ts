import { closedId, dataText, encodeBlock, eventName, MillraceError } from "../protocol/index.js";

/** An event as a handler sends it to one client. */
export interface SendEvent {
  /** The event's type. Without it clients receive it as `message`. */
  readonly event?: string | undefined;
  /** What the client comes back with as `Last-Event-ID`. */
  readonly id?: string | undefined;
  /** A string goes out as it is, each of its lines in one of the stream; anything else as JSON. */
  readonly data?: unknown;
  /** Tells the client to wait so many milliseconds before it reconnects. */
  readonly retry?: number | undefined;
  /** Where it comes from: a field of Millrace, which a native `EventSource` ignores. */
  readonly channel?: string | undefined;
}

/**
 * An event as the stream carries it; a string is the data of an event without a name.
 * @throws MillraceError `invalid_event`
 */
export function encodeSendEvent(sent: SendEvent | string): string {
  if (typeof sent === "string") return encodeBlock({ data: dataText(sent) });
  const { id, retry, channel, data } = sent;
  const event = eventName(sent.event);
  if (id === closedId) {
    throw new MillraceError("invalid_event", `id ${closedId} is reserved: close({ reconnect: false }) sends it`);
  }
  if (id?.isWellFormed() === false) {
    throw new MillraceError("invalid_event", "id holds half of a surrogate pair, which UTF-8 cannot carry");
  }
  // A client dispatches nothing without data, and whoever names an event means one.
  const text = data !== undefined ? dataText(data) : event === undefined ? undefined : "";
  return encodeBlock({ id, event, channel, retry, data: text });
}
