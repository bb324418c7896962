import type { Log } from "../log/index.js";
import { heartbeatBlock, keepaliveBlock } from "../protocol/index.js";
import type { Pump } from "./pump.js";
import type { Subscriber } from "./subscriber.js";

export interface HeartbeatParts {
  readonly pump: Pump;
  readonly log: Log;
  readonly form: "comment" | "event";
  readonly everyMs: number;
}

/**
 * All that are idle are told the same. One that lags, or is being written to, has bytes coming anyway.
 *
 * One that reads its group's compressed stream is left alone for as long as that is not quiet: bytes of its own would take
 * it out of step. Half the time, because its next turn is a whole one away.
 */
export function heartbeat({ pump, log, form, everyMs }: HeartbeatParts, subscribers: Iterable<Subscriber>): void {
  const nowMs = Date.now();
  const block = form === "event" ? heartbeatBlock : keepaliveBlock;
  const bytes = (sequence: number) => Buffer.from(block(nowMs, log.position(sequence)));
  const shared = bytes(pump.settled);
  for (const subscriber of subscribers) {
    if (pump.isIdle(subscriber)) {
      if (!pump.isInStep(subscriber, everyMs / 2)) pump.writeTo(subscriber, shared);
    } else if (pump.isWaiting(subscriber)) pump.writeTo(subscriber, bytes(subscriber.cursor));
  }
}
