import type { Log, MaybePromise } from "../log/index.js";
import type { Selection } from "../protocol/index.js";
import type { ConnectOptions, Start } from "./options.js";

/** Where a client begins to read. `counted` works out what a rewind counts. */
export function place(
  log: Log,
  { lastEventId, rewind }: Pick<ConnectOptions, "lastEventId" | "rewind">,
  counted: () => Selection,
): MaybePromise<Start> {
  const { tail, drops } = log;
  if (lastEventId) {
    const { sequence, lost } = log.locate(lastEventId);
    return { cursor: sequence, lost, knownDrops: -1, broadcastsAfter: 0 };
  }
  const at = (cursor: number): Start => ({ cursor, lost: "no", knownDrops: drops, broadcastsAfter: tail });
  const cursor = rewind === undefined ? tail : rewind === "all" ? 0 : log.rewind(counted(), rewind);
  return cursor instanceof Promise ? cursor.then(at) : at(cursor);
}
