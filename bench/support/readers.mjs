import fs from "node:fs";
import path from "node:path";
import { compiled } from "./native.mjs";
import { launch, lines, stop } from "./process.mjs";
import { scratch } from "./scratch.mjs";

/** A request for a stream, as the readers send it. */
export const get = (port, target, headers = "") =>
  `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n${headers}\r\n`;

/**
 * Starts the process that opens `connections` streams and looks through all that they bring, on the load's processor.
 * - `requests`: the bytes that are sent on them, in turn (a string, a Buffer, or several of them).
 * - `events`: the number of deliveries, of all streams together, after which it reports. 0: when it is stopped.
 * - `warm`: the number of deliveries after which latencies and rates are counted; `warmed` is called when they have come.
 * - `lanes`: events numbered 0, `lanes`, 2 × `lanes`… are in order among themselves, and so on: one a publisher.
 * - `rampMs`: the time over which they connect.
 * - `native`: false for the reader in JavaScript, which takes over anyway where there is no gcc.
 *
 * `open` resolves when each has been answered, `done` to the report: deliveries, those of them that are `measured`, least
 * and most of a stream, lost, twice, bytes, seconds from the first to the last, perSecond, p50Ms, p99Ms, p999Ms, maxMs.
 * `finish()` ends it when nothing has come for `silentMs`, which a server that drops events makes necessary; `latest()` is
 * how many came so far.
 */
export function startReaders({
  port,
  requests,
  connections,
  events = 0,
  warm = 0,
  warmed = () => {},
  lanes = 1,
  rampMs = 0,
  native = true,
  cpu = 1,
}) {
  const folder = scratch();
  const file = path.join(folder, "requests");
  const all = [requests].flat().map((request) => Buffer.from(request));
  fs.writeFileSync(file, Buffer.concat(all.flatMap((bytes) => [Buffer.from(`${bytes.length}\n`), bytes])));
  const program = native ? compiled("reader.c") : undefined;
  const script = path.join(import.meta.dirname, "reader-process.mjs");
  const [command, before] = program === undefined ? [process.execPath, [script]] : [program, []];
  const args = [...before, port, file, connections, events, lanes, rampMs, warm];
  const child = launch(command, args, { cpu, stdio: ["pipe", "pipe", "inherit"] });
  let deliveries = 0;
  const heard = lines(child);
  heard.on((line) => {
    deliveries = line.deliveries ?? deliveries;
    if (line.warm !== undefined) warmed();
  });
  child.once("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
  const done = heard.next((line) => line.done);
  const open = heard.next((line) => line.open === connections);
  done.catch(() => {});
  open.catch(() => {});
  return {
    open,
    done,
    latest: () => deliveries,
    async finish({ silentMs = 2000, limitMs = 60_000 } = {}) {
      const beganMs = performance.now();
      let [last, sinceMs] = [deliveries, beganMs];
      const silence = setInterval(() => {
        const nowMs = performance.now();
        if (deliveries !== last) [last, sinceMs] = [deliveries, nowMs];
        else if (nowMs - sinceMs > silentMs) child.stdin.end();
        if (nowMs - beganMs > limitMs) child.stdin.end();
      }, 100);
      return done.finally(() => clearInterval(silence));
    },
    stop: () => stop(child),
  };
}
