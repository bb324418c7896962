import type { Log } from "../log/index.js";
import type { Selection } from "../protocol/index.js";
import type { ConnectOptions } from "./options.js";
import type { Subscriber } from "./subscriber.js";

/** Where a client begins to read. `whole` works out all that it reads, for a rewind only. */
export function place(
  log: Log,
  { lastEventId, rewind }: ConnectOptions,
  whole: () => Selection,
): Pick<Subscriber, "cursor" | "lost" | "knownDrops"> {
  const { tail, drops } = log;
  if (lastEventId) {
    const { sequence, lost } = log.locate(lastEventId);
    return { cursor: sequence, lost, knownDrops: -1 };
  }
  const cursor = rewind === undefined ? tail : rewind === "all" ? 0 : log.rewind(whole(), rewind);
  return { cursor, lost: "no", knownDrops: drops };
}
