import { freemem, loadavg, totalmem } from "node:os";
import { performance } from "node:perf_hooks";
import { type CpuUse, cpuUse, readBusyTimes } from "./cpu.js";
import { createLoopDelay, type LoopDelay } from "./loop-delay.js";
import { bytesBetween, readInterfaces } from "./network.js";

/** What the hub counts. The totals only ever grow; the sampler turns them into rates. */
export interface HubCounters {
  /** Open connections, now. */
  connections: number;
  /** Different users among them, now. */
  users: number;
  publishedTotal: number;
  deliveriesTotal: number;
  requestsTotal: number;
  /** Requests that were answered with an error. */
  errorsTotal: number;
  /** Since the last call; `null` when nothing was answered. */
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
  /** Reads everything now. Rates, CPU and delay are over the time since the last call; at first, since it was made. */
  sample(): SystemSample;
  /** Stops measuring the event loop's delay. */
  close(): void;
}

/**
 * Samples the real machine and the hub's own counters. It has no timer but that of the event-loop delay: whoever
 * wants a sample a second asks once a second.
 */
export function createSampler(readCounters: () => HubCounters): Sampler {
  const loopDelay = createLoopDelay();
  const read = () => ({
    at: performance.now(),
    busy: readBusyTimes(),
    interfaces: readInterfaces(),
    counters: readCounters(),
  });
  let last = read();

  return {
    sample() {
      const before = last;
      const now = read();
      last = now;
      const elapsedMs = now.at - before.at;
      const perSecond = (growth: number) => (growth * 1000) / elapsedMs;
      const rateOf = (total: "requestsTotal" | "errorsTotal" | "publishedTotal" | "deliveriesTotal") =>
        twoDecimals(perSecond(now.counters[total] - before.counters[total]));
      const carried = before.interfaces && now.interfaces && bytesBetween(before.interfaces, now.interfaces);
      const totalBytes = totalmem();
      const { connections, users, responseMeanMs } = now.counters;
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
        connections,
        users,
        requestsPerSecond: rateOf("requestsTotal"),
        errorsPerSecond: rateOf("errorsTotal"),
        responseMeanMs: responseMeanMs === null ? null : twoDecimals(responseMeanMs),
        publishedPerSecond: rateOf("publishedTotal"),
        deliveriesPerSecond: rateOf("deliveriesTotal"),
        uptimeSeconds: Math.floor(process.uptime()),
      };
    },
    close: () => loopDelay.close(),
  };
}

function readLoad(): [number, number, number] {
  const [one = 0, five = 0, fifteen = 0] = loadavg();
  return [twoDecimals(one), twoDecimals(five), twoDecimals(fifteen)];
}

function twoDecimals(value: number): number {
  return Math.round(value * 100) / 100;
}
