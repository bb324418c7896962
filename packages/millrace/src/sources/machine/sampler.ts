import { freemem, loadavg, totalmem } from "node:os";
import { performance } from "node:perf_hooks";
import type { RequestFigures, RequestMeter } from "../request-meter.js";
import { rounded } from "../rounded.js";
import { type CpuUse, cpuUse, readBusyTimes } from "./cpu.js";
import { createLoopDelay, type LoopDelay } from "./loop-delay.js";
import { bytesBetween, readInterfaces } from "./network.js";

/** The machine and the process at one moment. */
interface MachineFigures {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly cpu: CpuUse;
  readonly memory: {
    readonly totalBytes: number;
    /** What is not available to new work; memory that only caches files counts as available, on Linux. */
    readonly usedBytes: number;
    /** Resident memory of this process. */
    readonly processBytes: number;
  };
  /** Mean number of runnable tasks over 1, 5 and 15 minutes; zeros on Windows, which does not tell. */
  readonly load: readonly [number, number, number];
  /** Without loopback; `null` where the system does not tell (anything but Linux). */
  readonly network: { readonly receivedBytesPerSecond: number; readonly sentBytesPerSecond: number } | null;
  readonly eventLoopDelayMs: LoopDelay;
  /** Of this process. */
  readonly uptimeSeconds: number;
}

interface HubFigures {
  /** Open connections, now. */
  readonly connections: number;
  /** Different users among them, now. */
  readonly users: number;
  readonly publishedPerSecond: number;
  readonly deliveriesPerSecond: number;
}

/** The figures of one tick: plain JSON. Those of the hub and of requests are there when their sources were given. */
export interface SystemFigures extends MachineFigures, Partial<HubFigures>, Partial<RequestFigures> {}

/** What the figures are read from, beside the machine. */
export interface FigureSources {
  /** A hub, or whatever counts as one does: `published` and `deliveries` are totals that only grow. */
  readonly hub?: { stats(): { connections: number; users: number; published: number; deliveries: number } } | undefined;
  readonly http?: Pick<RequestMeter, "window"> | undefined;
}

export interface Sampler {
  /** Reads everything now. Rates, CPU and delay are over the time since the last call; at first, since it was made. */
  sample(): SystemFigures;
  /** Stops measuring the event loop's delay. */
  close(): void;
}

/**
 * Samples the real machine, a hub's counters and a meter. It has no timer but that of the event-loop delay: whoever
 * wants a sample a second asks once a second.
 */
export function createSampler({ hub, http }: FigureSources = {}): Sampler {
  const read = () => ({
    atMs: performance.now(),
    busy: readBusyTimes(),
    interfaces: readInterfaces(),
    counted: hub && { ...hub.stats() },
  });
  const requests = http?.window();
  let last = read();
  const loopDelay = createLoopDelay();

  return {
    sample() {
      const before = last;
      const now = read();
      last = now;
      const elapsedMs = now.atMs - before.atMs;
      const perSecond = (growth: number) => (growth * 1000) / elapsedMs;
      const carried = before.interfaces && now.interfaces && bytesBetween(before.interfaces, now.interfaces);
      const totalBytes = totalmem();
      return {
        time: new Date().toISOString(),
        cpu: cpuUse(before.busy, now.busy, elapsedMs),
        memory: { totalBytes, usedBytes: totalBytes - freemem(), processBytes: process.memoryUsage.rss() },
        load: readLoad(),
        network: carried && {
          receivedBytesPerSecond: Math.round(perSecond(carried.received)),
          sentBytesPerSecond: Math.round(perSecond(carried.sent)),
        },
        eventLoopDelayMs: loopDelay.take(),
        ...(before.counted && now.counted && hubFigures(before.counted, now.counted, perSecond)),
        ...requests?.(),
        uptimeSeconds: Math.floor(process.uptime()),
      };
    },
    close: () => loopDelay.close(),
  };
}

type Counted = ReturnType<NonNullable<FigureSources["hub"]>["stats"]>;

function hubFigures(before: Counted, now: Counted, perSecond: (growth: number) => number): HubFigures {
  return {
    connections: now.connections,
    users: now.users,
    publishedPerSecond: rounded(perSecond(now.published - before.published), 2),
    deliveriesPerSecond: rounded(perSecond(now.deliveries - before.deliveries), 2),
  };
}

function readLoad(): [number, number, number] {
  const [one = 0, five = 0, fifteen = 0] = loadavg();
  return [rounded(one, 2), rounded(five, 2), rounded(fifteen, 2)];
}
