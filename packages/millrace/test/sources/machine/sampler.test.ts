import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it } from "vitest";
import { createSampler, type FigureSources, type Sampler } from "../../../src/sources/machine/sampler.js";
import { requestMeter } from "../../../src/sources/request-meter.js";

/** Long enough for some ticks of the processors' clocks. */
const PERIOD_MS = 60;

const open: Sampler[] = [];

function samplerOf(sources?: FigureSources): Sampler {
  const sampler = createSampler(sources);
  open.push(sampler);
  return sampler;
}

const restingCounters = () => ({ connections: 3, users: 2, published: 1_000_000, deliveries: 9_000_000 });
const restingHub = { stats: restingCounters };

/** Keeps this thread, and so one core and the event loop, busy. */
function spin(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

afterEach(() => {
  for (const sampler of open.splice(0)) sampler.close();
});

describe("createSampler", () => {
  it("begins with a sample in which totals from before are no rate", async () => {
    for (const waitMs of [1, PERIOD_MS]) {
      const http = requestMeter();
      http.observe({ status: 200, durationMs: 5 });
      const sampler = samplerOf({ hub: restingHub, http });
      await delay(waitMs);
      expect(sampler.sample()).toMatchObject({
        connections: 3,
        users: 2,
        requestsPerSecond: 0,
        errorsPerSecond: 0,
        publishedPerSecond: 0,
        deliveriesPerSecond: 0,
        responseMeanMs: null,
      });
    }
  });

  it("reads the real machine", async () => {
    const sampler = samplerOf();
    sampler.sample();
    await delay(PERIOD_MS);
    const before = Date.now();
    const { time, cpu, memory, load, uptimeSeconds } = sampler.sample();

    expect(new Date(time).toISOString()).toBe(time);
    expect(Math.abs(Date.parse(time) - before)).toBeLessThan(1000);
    expect(cpu.cores).toHaveLength(cpus().length);
    for (const percent of [...cpu.cores, cpu.total]) {
      expect(percent).toBeGreaterThanOrEqual(0);
      expect(percent).toBeLessThanOrEqual(100);
      expect(percent).toBe(Number(percent.toFixed(1)));
    }
    expect(memory.totalBytes).toBe(totalmem());
    expect(memory.usedBytes).toBeGreaterThan(0);
    expect(memory.usedBytes).toBeLessThan(memory.totalBytes);
    expect(memory.processBytes / process.memoryUsage.rss()).toBeCloseTo(1, 0);
    expect(load).toHaveLength(3);
    expect(Math.abs(uptimeSeconds - process.uptime())).toBeLessThan(2);
  });

  it.runIf(process.platform === "linux")("agrees with /proc/loadavg", () => {
    const read = () => Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]);
    const before = read();
    const [one] = samplerOf().sample().load;
    // The kernel may have written a new figure in between, and rounds in its own way.
    expect(Math.min(Math.abs(one - before), Math.abs(one - read()))).toBeLessThan(0.02);
  });

  it("is plain JSON", () => {
    const sample = samplerOf({ hub: restingHub, http: requestMeter() }).sample();
    expect(JSON.parse(JSON.stringify(sample))).toEqual(sample);
  });

  it("turns totals into rates per second", async () => {
    const counters = restingCounters();
    const createdMs = performance.now();
    const sampler = samplerOf({ hub: { stats: () => counters } });
    const startMs = performance.now();
    await delay(2 * PERIOD_MS);
    counters.published += 50;
    counters.deliveries += 50_000;
    const leastSeconds = (performance.now() - startMs) / 1000;
    const { deliveriesPerSecond = 0, publishedPerSecond = 0 } = sampler.sample();
    const mostSeconds = (performance.now() - createdMs) / 1000;

    expect(deliveriesPerSecond * mostSeconds).toBeGreaterThan(49_990);
    expect(deliveriesPerSecond * leastSeconds).toBeLessThan(50_010);
    expect(deliveriesPerSecond / publishedPerSecond).toBeCloseTo(1000, 0);

    await delay(PERIOD_MS);
    expect(sampler.sample()).toMatchObject({ publishedPerSecond: 0, deliveriesPerSecond: 0 });
  });

  it("says of a hub and of requests only what it was given", () => {
    expect(Object.keys(samplerOf().sample())).not.toEqual(expect.arrayContaining(["connections"]));
    expect(Object.keys(samplerOf({ hub: restingHub }).sample())).not.toContain("requestsPerSecond");
    expect(Object.keys(samplerOf({ http: requestMeter() }).sample())).not.toContain("connections");
  });

  it("sees a core at work and an event loop that is held up", async () => {
    const sampler = samplerOf();
    sampler.sample();
    // The histogram's timer must have fired once: a delay is the time from one firing to the next.
    await delay(PERIOD_MS);
    spin(300);
    await delay(PERIOD_MS);
    const { cpu, eventLoopDelayMs } = sampler.sample();

    expect(cpu.total).toBeGreaterThan(0);
    expect(Math.max(...cpu.cores)).toBeGreaterThan(20);
    expect(eventLoopDelayMs.max).toBeGreaterThan(250);
    expect(eventLoopDelayMs.p99).toBeGreaterThan(250);
    expect(eventLoopDelayMs.mean).toBeGreaterThan(1);
    expect(eventLoopDelayMs.mean).toBeLessThan(eventLoopDelayMs.max);
  });

  it("begins the event-loop delay anew with each sample, near 0 when idle", async () => {
    const sampler = samplerOf();
    await delay(PERIOD_MS);
    spin(150);
    await delay(PERIOD_MS);
    expect(sampler.sample().eventLoopDelayMs.max).toBeGreaterThan(100);

    // Other processes may hold the loop up too: one calm period of many is enough to show that 150 ms were forgotten.
    const means: number[] = [];
    for (let i = 0; i < 50; i++) {
      await delay(2 * PERIOD_MS);
      const { mean, max } = sampler.sample().eventLoopDelayMs;
      means.push(mean);
      if (mean < 5 && max < 100) return;
    }
    expect.fail(`no calm period; means in ms: ${means.join(", ")}`);
  });

  it("costs less than 2 ms a sample", async () => {
    const sampler = samplerOf();
    const costs: number[] = [];
    for (let i = 0; i < 15; i++) {
      await delay(PERIOD_MS);
      const start = performance.now();
      sampler.sample();
      costs.push(performance.now() - start);
    }
    costs.sort((a, b) => a - b);
    expect(costs[7]).toBeLessThan(2);
  });

  it("keeps no memory, open or closed", () => {
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const http = requestMeter();
    const work = (): void => {
      const kept = createSampler({ hub: restingHub, http });
      for (let i = 0; i < 1_000; i++) kept.sample();
      kept.close();
      for (let i = 0; i < 250; i++) createSampler({ hub: restingHub, http }).close();
    };
    work();
    collect();
    const before = process.memoryUsage();
    for (let i = 0; i < 3; i++) work();
    collect();
    const after = process.memoryUsage();
    expect(after.heapUsed - before.heapUsed).toBeLessThan(1_000_000);
    expect(after.external - before.external).toBeLessThan(1_000_000);
  });

  it("does not keep the process alive, even unclosed", () => {
    const before = process.getActiveResourcesInfo().length;
    samplerOf().sample();
    expect(process.getActiveResourcesInfo()).toHaveLength(before);
  });
});
