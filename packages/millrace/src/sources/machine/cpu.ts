import { cpus } from "node:os";
import { rounded } from "../rounded.js";

/** Percent of the time that the processors were busy, 0 to 100, one decimal. */
export interface CpuUse {
  /** One figure per core, in the system's order; empty where the system names none. */
  readonly cores: readonly number[];
  /** The mean of `cores`. */
  readonly total: number;
}

/** Milliseconds each core has been busy since the machine started. */
export type BusyTimes = readonly number[];

export function readBusyTimes(): BusyTimes {
  return cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq);
}

/**
 * Use between two readings that lie `elapsedMs` apart.
 *
 * Busy time is set against the clock, not against busy plus idle: on Linux Node's `idle` leaves out the time spent
 * waiting for the disk, so a core that does nothing but wait had "100 %" of the little that was counted.
 */
export function cpuUse(before: BusyTimes, after: BusyTimes, elapsedMs: number): CpuUse {
  const shares = after.map((busyMs, core) => {
    // A core that was plugged in meanwhile has no earlier reading, and says 0 once.
    const sinceMs = busyMs - (before[core] ?? busyMs);
    return Math.min(100, Math.max(0, (100 * sinceMs) / elapsedMs));
  });
  const sum = shares.reduce((a, b) => a + b, 0);
  return {
    cores: shares.map((share) => rounded(share, 1)),
    total: shares.length === 0 ? 0 : rounded(sum / shares.length, 1),
  };
}
