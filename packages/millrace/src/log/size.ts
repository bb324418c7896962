import { type CheckedEvent, MillraceError } from "../protocol/index.js";
import { maxRecordBytes } from "./ring.js";

/** A character costs at most seven bytes on the wire, when it is a line end: so a record stays below its bound. */
const maxDataLength = maxRecordBytes / 8;

/**
 * About what the events take, in characters.
 * @throws MillraceError `invalid_event` for more than a log can take at once
 */
export function sizeOf(events: readonly CheckedEvent[], maxMebi: number): number {
  let size = 0;
  for (const { data, channel, event = "", key = "" } of events) {
    if (data.length > maxDataLength)
      throw new MillraceError("invalid_event", "an event's data is at most 2 Mi characters");
    size += data.length + channel.length + event.length + key.length + 64;
  }
  if (size > maxMebi * 1024 * 1024)
    throw new MillraceError("invalid_event", `too much to publish at once: ${maxMebi} Mi characters are the most`);
  return size;
}
