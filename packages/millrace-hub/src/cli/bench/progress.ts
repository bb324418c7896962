import { clearInterval, setInterval } from "node:timers";
import { timesOf } from "./histogram.js";
import type { Counts } from "./load.js";
import { shortTimes, size, whole } from "./report.js";

/** One line that is written again and again, or, where nobody watches, a line every few seconds. */
const [terminalMs, fileMs] = [500, 5000];

/** Tells on standard error how a run goes, until it is stopped. `phase` says how far it is. */
export function showProgress(read: () => Promise<Counts>, asked: number, phase: () => string): () => void {
  const { isTTY } = process.stderr;
  let before: { readonly counts: Counts; readonly atMs: number } | undefined;
  let reading = false;
  const show = async () => {
    if (reading) return;
    reading = true;
    const counts = await read();
    reading = false;
    if (stopped) return;
    const atMs = performance.now();
    const seconds = before ? (atMs - before.atMs) / 1000 : Infinity;
    const events = (counts.events - (before?.counts.events ?? 0)) / seconds;
    const bytes = (counts.bytes - (before?.counts.bytes ?? 0)) / seconds;
    before = { counts, atMs };
    const { opened, failed, lost } = counts;
    const latency = timesOf(counts.latency);
    const parts = [
      `${whole(opened - lost)} of ${whole(asked)} open, ${whole(failed)} failed, ${whole(lost)} lost`,
      `${whole(events)} events/s, ${size(bytes)}/s`,
      ...(latency ? [shortTimes(latency)] : []),
    ];
    const line = `${phase()}: ${parts.join("; ")}`;
    process.stderr.write(isTTY ? `\r${line.slice(0, process.stderr.columns - 1)}\x1b[K` : `${line}\n`);
  };
  let stopped = false;
  const timer = setInterval(show, isTTY ? terminalMs : fileMs);
  return () => {
    if (stopped) return;
    stopped = true;
    clearInterval(timer);
    if (isTTY) process.stderr.write("\r\x1b[K");
  };
}
