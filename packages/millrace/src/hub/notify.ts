import { type AddressedEvent, assertChannel, type CheckedEvent, checkEvent, MillraceError } from "../protocol/index.js";

export { broadcastChannel } from "../protocol/index.js";

/** @throws MillraceError `invalid_event` */
export function addressTo<E extends object>(channel: string, event: AddressedEvent<E>): CheckedEvent {
  const checked = checkEvent(event);
  if ("channel" in event) {
    throw new MillraceError("invalid_event", `this event goes to ${channel}: leave out its channel, or publish it`);
  }
  return { ...checked, channel };
}

/** The channel of a user or a role. @throws MillraceError `invalid_channel` for a name that no channel can have */
export function channelOf(kind: "user" | "role", name: string): string {
  if (typeof name !== "string" || name === "") {
    throw new MillraceError("invalid_channel", `a ${kind} to send to is a string that is not empty`);
  }
  const channel = `@${kind}/${name}`;
  try {
    assertChannel(channel);
  } catch (cause) {
    throw new MillraceError("invalid_channel", `this ${kind} cannot be sent to: ${(cause as Error).message}`, {
      cause,
    });
  }
  return channel;
}
