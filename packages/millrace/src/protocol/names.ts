import { MillraceError } from "./errors.js";
import { quote, utf8Bytes } from "./text.js";

/** Longest channel name or selection, in bytes of UTF-8. */
export const maxChannelBytes = 256;
/** Longest `event`, `key` and idempotency key, in bytes of UTF-8. */
export const maxNameBytes = 256;
/** What publish and subscribe mean when no channel is named. */
export const defaultChannel = "general";
/** Every connection reads it beside its own channels. Only the program writes to it: `assertChannel` refuses the name. */
export const broadcastChannel = "@all";
/** Where a hub writes down its runs: nobody can select it or publish to it. */
export const runsChannel = "@runs";
/** A connection's own channel begins so. No other connection ever has its name. */
export const connectionPrefix = "@connection/";
/** Event names that begin so are the hub's own. */
export const reservedEventPrefix = "millrace.";

const personal = /^@(?:user|connection)\/./s;
const addressed = /^@(?:user|role|connection)\/./s;

/** A channel of one identity or connection (`@user/…`, `@connection/…`): never part of a group's selection. */
export const isPersonalChannel = (channel: string): boolean => personal.test(channel);

/**
 * A line of the stream cannot hold CR, LF or NUL: each would let a publisher write fields of its own into other
 * people's streams. Refused, never cleaned: a cleaned name is another name (CVE-2026-33128 and its like).
 */
export const breaksLine = (text: string): boolean => /[\r\n\0]/.test(text);

/** Throws `invalid_channel` unless `name` may be published to. */
export function assertChannel(name: string): void {
  assertName(name, "channel");
  if (name.includes("*")) {
    throw new MillraceError("invalid_channel", `channel ${quote(name)} holds "*": that is for subscribing only`);
  }
  if (name.startsWith("@") && !addressed.test(name)) {
    throw new MillraceError(
      "invalid_channel",
      `channel ${quote(name)} begins with "@": only @user/<id>, @role/<name> and @connection/<id> may`,
    );
  }
}

/** Throws `invalid_channel` unless `name` is text of 1 to 256 bytes without CR, LF and NUL. */
export function assertName(name: string, what: string): void {
  if (typeof name !== "string") throw new MillraceError("invalid_channel", `a ${what} is a string, not ${typeof name}`);
  const bytes = utf8Bytes(name);
  if (bytes < 1 || bytes > maxChannelBytes) {
    throw new MillraceError(
      "invalid_channel",
      bytes < 0
        ? `${what} ${quote(name)} is not valid Unicode`
        : `${what} ${quote(name)} has ${bytes} bytes: it must have 1 to ${maxChannelBytes}`,
    );
  }
  if (breaksLine(name)) {
    throw new MillraceError(
      "invalid_channel",
      `${what} ${quote(name)} holds CR, LF or NUL, which a stream cannot carry`,
    );
  }
}
