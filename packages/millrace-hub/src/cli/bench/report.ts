import { printable } from "../output.js";
import { type Times, timesOf } from "./histogram.js";
import type { Counts } from "./load.js";
import type { Failure } from "./stream.js";

/** What a run has measured: the object that `--json` prints. Times in milliseconds, rates a second. */
export interface Report {
  readonly url: string;
  /** It was ended by Ctrl-C: while it opened, when fewer have opened or failed than were asked for. */
  readonly interrupted: boolean;
  readonly seconds: { readonly ramp: number; readonly measured: number };
  readonly connections: {
    readonly asked: number;
    readonly opened: number;
    readonly failed: number;
    readonly lost: number;
  };
  readonly failures: readonly (Failure & { readonly count: number })[];
  readonly openMs: Times | null;
  readonly events: number;
  readonly eventsPerSecond: number;
  readonly bytes: number;
  readonly bytesPerSecond: number;
  /** Bytes of data among all bytes; null when none came. */
  readonly payloadShare: number | null;
  /** How busy the busiest reading thread was, of 1: from 0.9 on it may be the tester that is slow. */
  readonly testerBusy: number;
  /** From publishing, or from the hub's time in the envelope, to the reader. */
  readonly latencyMs: (Times & { readonly since: "publish" | "envelope" }) | null;
  readonly published: {
    readonly events: number;
    readonly perSecond: number;
    readonly lost: number;
    readonly twice: number;
  } | null;
}

export interface Measured {
  readonly url: string;
  readonly asked: number;
  readonly interrupted: boolean;
  readonly rampMs: number;
  readonly measuredMs: number;
  /** The counts when the measuring began, when it ended, and when everything that was published had time to come. */
  readonly first: Counts;
  readonly last: Counts;
  readonly final: Counts;
  /** Events of this run that were accepted; undefined: it did not publish. */
  readonly published: number | undefined;
}

export function reportOf({
  url,
  asked,
  interrupted,
  rampMs,
  measuredMs,
  first,
  last,
  final,
  published,
}: Measured): Report {
  const seconds = measuredMs / 1000;
  const rate = (amount: number) => (seconds > 0 ? amount / seconds : 0);
  const latency = timesOf(final.latency);
  const { opened, failed, lost } = final;
  return {
    url,
    interrupted,
    seconds: { ramp: rampMs / 1000, measured: seconds },
    connections: { asked, opened, failed, lost },
    failures: [...final.failures].sort((a, b) => b.count - a.count),
    openMs: timesOf(final.open) ?? null,
    events: final.events,
    eventsPerSecond: rate(last.events - first.events),
    bytes: final.bytes,
    bytesPerSecond: rate(last.bytes - first.bytes),
    payloadShare: final.bytes === 0 ? null : final.dataBytes / final.bytes,
    testerBusy: measuredMs > 0 ? Math.min(1, (last.busyMs - first.busyMs) / measuredMs) : 0,
    latencyMs: latency ? { ...latency, since: published === undefined ? "envelope" : "publish" } : null,
    published:
      published === undefined
        ? null
        : {
            events: published,
            perSecond: rate(published),
            lost: Math.max(0, published * (opened - lost) - final.received),
            twice: final.twice,
          },
  };
}

/** Whether anything went wrong that a script should stop at. */
export function isFlawed({ connections: { failed, lost }, published }: Report): boolean {
  return failed > 0 || lost > 0 || (published !== null && published.lost + published.twice > 0);
}

export const whole = (value: number): string => Math.round(value).toLocaleString("en-US");
const digits = (value: number) => (value >= 100 || value === 0 ? whole(value) : value.toPrecision(3));
const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function size(bytes: number): string {
  const unit = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${unit === 0 ? whole(bytes) : digits(bytes / 1024 ** unit)} ${units[unit]}`;
}

export const shortTimes = ({ p50, p99 }: Times): string => `p50 ${digits(p50)} ms, p99 ${digits(p99)} ms`;
const times = (of: Times | null) => (of ? `${shortTimes(of)}, most ${digits(of.max)} ms` : "–");

const meanings: Readonly<Record<Failure["kind"], string>> = {
  refused: "refused",
  status: "answered with status",
  type: "not an event stream",
  cut: "cut",
  timeout: "timed out",
  malformed: "not understood",
  network: "network",
};

/** What to do about a failure that newcomers meet; undefined: its name says it. */
function adviceOf({ kind, detail }: Failure): string | undefined {
  if (kind === "refused") return "nothing listens there: is the server started, and the port right?";
  if (kind === "status" && /^3\d\d$/.test(detail))
    return "redirects are not followed: give the address that it leads to";
  return undefined;
}

/** The report as programs read it, in one line: no more digits than were measured. */
export function reportJson(report: Report): string {
  const short = (_: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
  return `${JSON.stringify(report, short)}\n`;
}

function failureText(failure: Failure): string {
  const advice = adviceOf(failure);
  return `${meanings[failure.kind]}: ${printable(failure.detail)}${advice === undefined ? "" : ` (${advice})`}`;
}

function timeText({
  seconds: { ramp, measured },
  interrupted,
  connections: { asked, opened, failed },
}: Report): string {
  if (interrupted && opened + failed < asked) return `${ramp.toFixed(1)} s, interrupted while opening`;
  return `${ramp.toFixed(1)} s to open, ${measured.toFixed(1)} s measured${interrupted ? ", interrupted" : ""}`;
}

/** The report as people read it. */
export function reportText(report: Report): string {
  const { url, connections, failures, published, latencyMs, payloadShare } = report;
  const { asked, opened, failed, lost } = connections;
  const since = latencyMs?.since === "envelope" ? " (by the hub's clock)" : "";
  const rows: [string, string][] = [
    ["target", url],
    ["time", timeText(report)],
    ["connections", `${whole(opened)} of ${whole(asked)} opened, ${whole(failed)} failed, ${whole(lost)} lost`],
    ...failures.map(({ count, ...failure }): [string, string] => ["", `${whole(count)} ${failureText(failure)}`]),
  ];
  if (opened > 0)
    rows.push(
      ["time to open", times(report.openMs)],
      ["events", `${whole(report.events)} (${whole(report.eventsPerSecond)}/s)`],
      ["bytes", `${size(report.bytes)} (${size(report.bytesPerSecond)}/s)`],
      ["payload", payloadShare === null ? "–" : `${(payloadShare * 100).toFixed(1)} % of the bytes`],
      ["latency", `${times(latencyMs)}${since}`],
    );
  if (published) {
    const { events, perSecond, lost: missing, twice } = published;
    rows.push(
      ["published", `${whole(events)} (${digits(perSecond)}/s)`],
      ["deliveries", `${whole(missing)} lost, ${whole(twice)} came twice`],
    );
  }
  if (report.testerBusy > 0.9)
    rows.push(["note", "the tester itself was at its limit: give it more threads, or a machine of its own"]);
  return rows.map(([name, value]) => `${name.padEnd(14)}${value}\n`).join("");
}
