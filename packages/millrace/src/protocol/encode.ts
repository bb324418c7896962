import { MillraceError } from "./errors.js";
import { breaksLine } from "./names.js";
import { quote } from "./text.js";

/** The fields of one block of an event stream (WHATWG HTML, "Server-sent events", and our `channel`). */
export interface Block {
  readonly id?: string | undefined;
  readonly event?: string | undefined;
  readonly channel?: string | undefined;
  /** Reconnection time in milliseconds. */
  readonly retry?: number | undefined;
  /** Any text: split at CR, LF and CRLF into one line each. Without it the block dispatches nothing. */
  readonly data?: string | undefined;
  readonly comment?: string | undefined;
}

const lineEnd = /\r\n|\r|\n/;

/**
 * Writes one block, with its closing blank line.
 * @throws MillraceError `invalid_event` when `id`, `event` or `channel` holds CR, LF or NUL, or `retry` is no whole number
 */
export function encodeBlock(block: Block): string {
  let text = block.comment === undefined ? "" : lines(":", block.comment);
  if (block.id !== undefined) text += `id: ${oneLine("id", block.id)}\n`;
  if (block.event !== undefined) text += `event: ${oneLine("event", block.event)}\n`;
  if (block.channel !== undefined) text += `channel: ${oneLine("channel", block.channel)}\n`;
  if (block.retry !== undefined) text += `retry: ${wholeNumber(block.retry)}\n`;
  if (block.data !== undefined) text += lines("data:", block.data);
  return `${text}\n`;
}

function lines(field: string, value: string): string {
  if (!lineEnd.test(value)) return `${field} ${value}\n`;
  let text = "";
  for (const line of value.split(lineEnd)) text += `${field} ${line}\n`;
  return text;
}

function oneLine(field: string, value: string): string {
  if (breaksLine(value)) {
    throw new MillraceError(
      "invalid_event",
      `${field} ${quote(value)} holds CR, LF or NUL, which a stream cannot carry`,
    );
  }
  return value;
}

function wholeNumber(retry: number): number {
  if (!Number.isSafeInteger(retry) || retry < 0) {
    throw new MillraceError("invalid_event", `retry must be a whole number of milliseconds, 0 or more: it is ${retry}`);
  }
  return retry;
}
