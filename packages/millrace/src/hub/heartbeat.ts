import type { Log } from "../log/index.js";
import { heartbeatBlock, keepaliveBlock } from "../protocol/index.js";
import type { Pump } from "./pump.js";
import type { Subscriber } from "./subscriber.js";

/** All that are idle are told the same. One that lags, or is being written to, has bytes coming anyway. */
export function heartbeat(pump: Pump, log: Log, form: "comment" | "event", subscribers: Iterable<Subscriber>): void {
  const nowMs = Date.now();
  const block = form === "event" ? heartbeatBlock : keepaliveBlock;
  const bytes = (sequence: number) => Buffer.from(block(nowMs, log.position(sequence)));
  const shared = bytes(pump.settled);
  for (const subscriber of subscribers) {
    if (pump.isIdle(subscriber)) pump.writeTo(subscriber, shared);
    else if (pump.isPaced(subscriber)) pump.writeTo(subscriber, bytes(subscriber.cursor));
  }
}
