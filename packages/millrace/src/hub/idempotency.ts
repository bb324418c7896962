import { createHash } from "node:crypto";
import type { AppendOptions } from "../log/log.js";
import { type CheckedEvent, MillraceError } from "../protocol/index.js";

/** Over HTTP a key has 256 bytes at most; there it is stored together with its user's name. */
const maxKeyBytes = 1024;

/** @throws MillraceError `invalid_event` */
export function idempotencyOf(key: string, events: readonly CheckedEvent[]): NonNullable<AppendOptions["idempotency"]> {
  const bytes = Buffer.byteLength(key);
  if (bytes < 1 || bytes > maxKeyBytes) {
    throw new MillraceError("invalid_event", `an idempotency key has 1 to ${maxKeyBytes} bytes: this one has ${bytes}`);
  }
  const digest = createHash("sha256").update(JSON.stringify(events)).digest("base64url");
  return { key, digest };
}
