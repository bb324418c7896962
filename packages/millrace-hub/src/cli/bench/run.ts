import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { descriptorLimit } from "../../serve/limits.js";
import { UsageError, type Values } from "../option.js";
import { endWithReader } from "../output.js";
import { authorization } from "../request.js";
import { type Crew, startCrew } from "./crew.js";
import type { Counts } from "./load.js";
import { createMarker, type Marker } from "./marker.js";
import type { benchOptions } from "./options.js";
import { showProgress } from "./progress.js";
import { type Publisher, startPublisher } from "./publisher.js";
import { isFlawed, reportJson, reportOf, reportText } from "./report.js";
import { nameOf, publishTarget, streamAddress, streamTarget, type Wanted } from "./target.js";

type BenchValues = Values<typeof benchOptions>;

const usualRampMs = 50;
const mostRampMs = 10_000;
const perThread = 250;
/** How long what was published may take to reach the last reader, before it counts as lost. */
const arriveMs = 5000;
/** Files that are open beside the streams: the runtime's, each thread's, the publisher's. */
const descriptorsOf = (threads: number) => 50 + 10 * threads;

/** `bench`: prints a report; the exit code is 1 when a connection or an event was lost. */
export async function runBench(values: BenchValues): Promise<number> {
  endWithReader();
  const { connections, publish, duration: durationMs, "api-key": apiKey } = values;
  const wanted: Wanted = { url: values.url, channels: values.channel, headers: values.header, apiKey };
  const publishing = publish === undefined ? undefined : { rate: publish, ...publishTarget(wanted) };
  const threads = values.threads ?? Math.min(availableParallelism(), Math.ceil(connections / perThread));
  checkDescriptors(connections, threads);
  const marker = publishing && createMarkerOfRun();
  const envelope = streamAddress(wanted).searchParams.get("format") === "envelope";

  const interrupt = nextInterrupt();
  const startedMs = performance.now();
  const crew = startCrew(
    {
      target: streamTarget(wanted),
      connections,
      before: 0,
      firstMs: 0,
      everyMs: values.ramp ?? Math.min(usualRampMs, mostRampMs / connections),
      timeoutMs: values.timeout,
      times: marker ? { run: marker.run } : envelope ? "envelope" : "none",
    },
    threads,
  );
  let phase = () => `${seconds(performance.now() - startedMs)} opening`;
  const stopProgress = showProgress(crew.counts, connections, () => phase());
  let publisher: Publisher | undefined;
  try {
    await Promise.race([crew.settled, interrupt.happened, crew.failed]);
    const rampedMs = performance.now();
    const opened = await crew.counts();
    // Interrupted while it opened: what there is to tell is about that time.
    const [first, beganMs] = interrupt.was() ? [nothing(opened), startedMs] : [opened, rampedMs];
    phase = () => `${seconds(performance.now() - rampedMs)} of ${seconds(durationMs)}`;
    const goesOn = !interrupt.was() && opened.opened > opened.lost;
    if (publishing && marker && goesOn) {
      const headers = { ...Object.fromEntries(values.header), ...authorization({ url: "", apiKey }) };
      publisher = startPublisher({ ...publishing, headers, bytes: values.size, marker: marker.marker });
    }
    if (goesOn) {
      const ends = [interrupt.happened, crew.over, crew.failed, ...(publisher ? [publisher.done] : [])];
      await Promise.race([sleep(durationMs, undefined, { ref: false }), ...ends]);
    }
    await publisher?.stop();
    const endedMs = performance.now();
    const last = await crew.counts();
    const published = publisher?.published();
    const final = published === undefined ? last : await arrived(crew, published, last, interrupt.was);
    const report = reportOf({
      ...{
        url: nameOf(wanted),
        asked: connections,
        interrupted: interrupt.was(),
        published: publishing && (published ?? 0),
      },
      ...{ rampMs: rampedMs - startedMs, measuredMs: endedMs - beganMs, first, last, final },
    });
    stopProgress();
    process.stdout.write(values.json ? reportJson(report) : reportText(report));
    return isFlawed(report) ? 1 : 0;
  } finally {
    stopProgress();
    interrupt.forget();
    await crew.stop();
  }
}

/** Waits until the open streams have what was published, and not for ever. */
async function arrived(crew: Crew, published: number, last: Counts, interrupted: () => boolean): Promise<Counts> {
  const untilMs = performance.now() + arriveMs;
  let counts = last;
  while (counts.received < published * (counts.opened - counts.lost) && performance.now() < untilMs) {
    if (interrupted() && performance.now() > untilMs - arriveMs + 1000) break;
    await sleep(50);
    counts = await crew.counts();
  }
  return counts;
}

/** @throws UsageError before anything is opened, when this process may not have so many files open */
function checkDescriptors(connections: number, threads: number): void {
  const limit = descriptorLimit() ?? Infinity;
  const needed = connections + descriptorsOf(threads);
  if (needed <= limit) return;
  const possible = limit - descriptorsOf(threads);
  throw new UsageError(
    `${connections} connections need ${needed} open files, and this process may have ${limit}: raise it with ulimit -n ${needed}, or give --connections ${Math.max(1, possible)}`,
  );
}

function createMarkerOfRun(): { run: string; marker: Marker } {
  const run = randomBytes(4).toString("hex");
  return { run, marker: createMarker(run) };
}

/** The counts before anything had come. */
const nothing = (counts: Counts): Counts => ({ ...counts, events: 0, bytes: 0, busyMs: 0 });

const seconds = (ms: number) => `${Math.floor(ms / 1000)}s`;

/** The first Ctrl-C ends the run with its report; a second one ends the process as ever. */
function nextInterrupt() {
  let was = false;
  let hear = () => {};
  const happened = new Promise<void>((resolve) => {
    hear = () => {
      was = true;
      resolve();
    };
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, hear);
  return {
    happened,
    was: () => was,
    forget() {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, hear);
    },
  };
}
