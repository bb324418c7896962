import { Worker } from "node:worker_threads";
import { add, createHistogram } from "./histogram.js";
import type { Counts, Job, Load } from "./load.js";

/** A load that several threads share. */
export interface Crew extends Pick<Load, "settled" | "over"> {
  counts(): Promise<Counts>;
  stop(): Promise<void>;
  /** Rejects when a thread fails. */
  readonly failed: Promise<never>;
}

/** Deals the connections out to the threads in turn, so that all of them together begin one every `everyMs`. */
export function deal(job: Job, threads: number): Job[] {
  const { connections, firstMs, everyMs } = job;
  let { before } = job;
  return Array.from({ length: Math.min(threads, connections) }, (_, at) => {
    const share = Math.floor((connections - at - 1) / threads) + 1;
    const own = { connections: share, before, firstMs: firstMs + at * everyMs, everyMs: everyMs * threads };
    before += share;
    return { ...job, ...own };
  });
}

export function startCrew(job: Job, threads: number): Crew {
  const workers = deal(job, threads).map(
    (own) => new Worker(new URL("./worker.js", import.meta.url), { workerData: own }),
  );
  const next = (worker: Worker, wanted: (message: unknown) => boolean) =>
    new Promise<unknown>((resolve) => {
      const hear = (message: unknown) => {
        if (!wanted(message)) return;
        worker.off("message", hear);
        resolve(message);
      };
      worker.on("message", hear);
    });
  const all = (said: string) => Promise.all(workers.map((worker) => next(worker, (message) => message === said)));
  const failed = Promise.race(workers.map((worker) => new Promise<never>((_, reject) => worker.once("error", reject))));
  failed.catch(() => {}); // whoever waits for it hears of it
  return {
    failed,
    settled: all("settled").then(() => {}),
    over: all("over").then(() => {}),
    async counts() {
      const answers = workers.map((worker) => {
        const answer = next(worker, (message) => typeof message === "object");
        worker.postMessage("counts");
        return answer as Promise<Counts>;
      });
      return sumOf(await Promise.all(answers));
    },
    async stop() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function sumOf(all: readonly Counts[]): Counts {
  const [open, latency] = [createHistogram(), createHistogram()];
  for (const counts of all) {
    add(open, counts.open);
    add(latency, counts.latency);
  }
  const failures = new Map<string, Counts["failures"][number]>();
  for (const failure of all.flatMap((counts) => counts.failures)) {
    const key = `${failure.kind} ${failure.detail}`;
    failures.set(key, { ...failure, count: failure.count + (failures.get(key)?.count ?? 0) });
  }
  const sum = (name: Exclude<keyof Counts, "open" | "latency" | "failures" | "busyMs">) =>
    all.reduce((total, counts) => total + counts[name], 0);
  return {
    ...{ opened: sum("opened"), failed: sum("failed"), lost: sum("lost") },
    ...{ events: sum("events"), bytes: sum("bytes"), dataBytes: sum("dataBytes") },
    ...{ received: sum("received"), twice: sum("twice") },
    ...{ busyMs: Math.max(...all.map(({ busyMs }) => busyMs)), open, latency, failures: [...failures.values()] },
  };
}
