import { freemem, loadavg, totalmem } from "node:os";
import { performance } from "node:perf_hooks";
import { type BusyTimes, type CpuUse, cpuUse, readBusyTimes } from "./cpu.js";
import { createLoopDelay, type LoopDelay } from "./loop-delay.js";
import { bytesBetween, type InterfaceBytes, readInterfaces } from "./network.js";

/** What the hub counts. The totals only ever grow; the sampler turns them into rates. */
export interface HubCounters {
  /** Open connections, now. */
  connections: number;
  /** Users with at least one open connection, now. */
  users: number;
  publishedTotal: number;
  deliveriesTotal: number;
  requestsTotal: number;
  /** Requests that were answered with an error. */
  errorsTotal: number;
  /** `null` as long as nothing was answered. */
  responseMeanMs: number | null;
}

/** The machine and the hub at one moment: plain JSON, as published on the channel `system`. */
interface SystemSample {
  /** ISO 8601, UTC. */
  time: string;
  cpu: CpuUse;
  memory: {
    totalBytes: number;
    /** What is not available to new work; memory that only caches files counts as available, on Linux. */
    usedBytes: number;
    /** Resident memory of this process. */
    processBytes: number;
  };
  /** Mean number of runnable tasks over 1, 5 and 15 minutes; zeros on Windows, which does not tell. */
  load: [number, number, number];
  /** Without loopback; `null` where the system does not tell (anything but Linux). */
  network: { receivedBytesPerSecond: number; sentBytesPerSecond: number } | null;
  eventLoopDelayMs: LoopDelay;
  connections: number;
  users: number;
  requestsPerSecond: number;
  errorsPerSecond: number;
  responseMeanMs: number | null;
  publishedPerSecond: number;
  deliveriesPerSecond: number;
  /** Of this process. */
  uptimeSeconds: number;
}

export interface Sampler {
  /**
   * Reads everything now. Rates, CPU and delay are over the time since the sample before. In the first sample the
   * hub's rates are 0, and what is the machine's is since the sampler was made.
   *
   * Within 50 ms of the sample before they are repeated from it: so short a time holds no more than a few ticks of the
   * processors' clocks, and two readers of one sampler would otherwise take each other's figures away.
   */
  sample(): SystemSample;
  /** Stops measuring the event loop's delay. Samples may still be taken, with a delay of 0. */
  close(): void;
}

const SHORTEST_PERIOD_MS = 50;

/**
 * Samples the real machine and the hub's own counters. It has no timer but that of the event-loop delay: whoever
 * wants a sample a second asks once a second. `counters` is first called by the first `sample()`.
 */
export function createSampler(counters: () => HubCounters): Sampler {
  const loopDelay = createLoopDelay();
  let last = readMachine();
  let lastCounters: HubCounters | undefined;
  let rates: Rates = {
    cpu: { cores: last.busy.map(() => 0), total: 0 },
    network: last.interfaces && { receivedBytesPerSecond: 0, sentBytesPerSecond: 0 },
    eventLoopDelayMs: { mean: 0, p99: 0, max: 0 },
    requestsPerSecond: 0,
    errorsPerSecond: 0,
    publishedPerSecond: 0,
    deliveriesPerSecond: 0,
  };

  function updateRates(nowCounters: HubCounters): void {
    const before = lastCounters ?? nowCounters;
    lastCounters ??= nowCounters;
    if (performance.now() - last.at < SHORTEST_PERIOD_MS) return;

    const now = readMachine();
    const elapsedMs = now.at - last.at;
    const perSecond = (growth: number): number => (Math.max(0, growth) * 1000) / elapsedMs;
    const carried = last.interfaces && now.interfaces && bytesBetween(last.interfaces, now.interfaces);
    rates = {
      cpu: cpuUse(last.busy, now.busy, elapsedMs),
      network: carried && {
        receivedBytesPerSecond: Math.round(perSecond(carried.received)),
        sentBytesPerSecond: Math.round(perSecond(carried.sent)),
      },
      eventLoopDelayMs: loopDelay.take(),
      requestsPerSecond: twoDecimals(perSecond(nowCounters.requestsTotal - before.requestsTotal)),
      errorsPerSecond: twoDecimals(perSecond(nowCounters.errorsTotal - before.errorsTotal)),
      publishedPerSecond: twoDecimals(perSecond(nowCounters.publishedTotal - before.publishedTotal)),
      deliveriesPerSecond: twoDecimals(perSecond(nowCounters.deliveriesTotal - before.deliveriesTotal)),
    };
    last = now;
    lastCounters = nowCounters;
  }

  return {
    sample() {
      // A copy: a caller may hand out one object and count on in it.
      const now = { ...counters() };
      updateRates(now);
      const totalBytes = totalmem();
      return {
        time: new Date().toISOString(),
        ...rates,
        memory: { totalBytes, usedBytes: totalBytes - freemem(), processBytes: process.memoryUsage.rss() },
        load: readLoad(),
        connections: now.connections,
        users: now.users,
        responseMeanMs: now.responseMeanMs === null ? null : twoDecimals(now.responseMeanMs),
        uptimeSeconds: Math.floor(process.uptime()),
      };
    },
    close() {
      loopDelay.close();
    },
  };
}

/** The figures that need two readings. */
type Rates = Pick<
  SystemSample,
  | "cpu"
  | "network"
  | "eventLoopDelayMs"
  | "requestsPerSecond"
  | "errorsPerSecond"
  | "publishedPerSecond"
  | "deliveriesPerSecond"
>;

function readMachine(): { at: number; busy: BusyTimes; interfaces: Map<string, InterfaceBytes> | null } {
  return { at: performance.now(), busy: readBusyTimes(), interfaces: readInterfaces() };
}

function readLoad(): [number, number, number] {
  const [one = 0, five = 0, fifteen = 0] = loadavg();
  return [twoDecimals(one), twoDecimals(five), twoDecimals(fifteen)];
}

function twoDecimals(value: number): number {
  return Math.round(value * 100) / 100;
}
