import type { Log } from "../log/index.js";
import type { Selection } from "../protocol/index.js";
import type { ConnectOptions } from "./options.js";
import type { Subscriber } from "./subscriber.js";

/** Where a client begins to read. `counted` works out what a rewind counts. */
export function place(
  log: Log,
  { lastEventId, rewind }: ConnectOptions,
  counted: () => Selection,
): Pick<Subscriber, "cursor" | "lost" | "knownDrops" | "broadcastsAfter"> {
  const { tail, drops } = log;
  if (lastEventId) {
    const { sequence, lost } = log.locate(lastEventId);
    return { cursor: sequence, lost, knownDrops: -1, broadcastsAfter: 0 };
  }
  const cursor = rewind === undefined ? tail : rewind === "all" ? 0 : log.rewind(counted(), rewind);
  return { cursor, lost: "no", knownDrops: drops, broadcastsAfter: tail };
}
