import path from "node:path";
import { message, start, stop } from "./process.mjs";

const defaults = {
  path: "/publish",
  batch: 1000,
  connections: 1,
  body: "json",
  dataBytes: 85,
  channels: ["bench"],
  headers: "",
};

/**
 * Starts the process that publishes `count` numbered events at `rate` a second (0: as fast as it is answered) to `port`,
 * on the load's processor; nothing is sent before `run()`. That resolves to `{ seconds, perSecond, requests, p50Ms, p99Ms
 * (of a request), cpu (of a core) }`, and rejects when a request is refused.
 * - `batch`: events in a request at most. Requests carry what has fallen due while the one before was on its way.
 * - `connections`: each has one request on its way; each is a lane (see `startReaders`).
 * - `body`: `json` (NDJSON, the hub's), or one event a request: `raw`, `form`, `wrapped` (JSON around it).
 * - `channels`: taken in turn. `key`: of every event, none by default. `headers`: lines that end with CRLF. `dataBytes`: the length of an event's data.
 */
export async function startPublisher(plan) {
  const script = path.join(import.meta.dirname, "publisher-process.mjs");
  const child = start(script, [JSON.stringify({ ...defaults, ...plan })], { cpu: 1 });
  await message(child, (value) => value === "ready");
  return {
    run() {
      const result = message(child, (value) => value.seconds !== undefined);
      child.send("run");
      return result;
    },
    stop: () => stop(child),
  };
}
