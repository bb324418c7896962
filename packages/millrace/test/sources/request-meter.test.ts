import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createHub } from "../../src/index.js";
import { requestMeter } from "../../src/sources/index.js";

const nothing = {
  requestsPerSecond: 0,
  errorsPerSecond: 0,
  errorPercent: null,
  responseMeanMs: null,
  responseP99Ms: null,
};

describe("requestMeter", () => {
  it("tells nothing of a window without answers", () => {
    const meter = requestMeter();
    meter.observe({ status: 200, durationMs: 1 });
    expect(meter.window()()).toEqual(nothing);
  });

  it("tells rates, the share of errors and times, each window its own", async () => {
    const meter = requestMeter();
    const [often, seldom] = [meter.window(), meter.window()];
    const startMs = performance.now();
    const status = [200, 204, 302, 404, 500];
    for (let at = 0; at < 200; at++) meter.observe({ status: status[at % 5] ?? 0, durationMs: at < 100 ? 1 : 3 });
    await delay(100);
    const first = often();
    const seconds = (performance.now() - startMs) / 1000;
    expect(first.requestsPerSecond * seconds).toBeCloseTo(200, -1);
    expect(first.requestsPerSecond / first.errorsPerSecond).toBeCloseTo(2.5, 1);
    expect(first).toMatchObject({ errorPercent: 40, responseMeanMs: 2 });
    expect(often()).toEqual(nothing);
    meter.observe({ status: 200, durationMs: 8 });
    const second = often();
    expect(second).toMatchObject({ errorPercent: 0, responseMeanMs: 8 });
    expect(second.responseP99Ms).toBeGreaterThanOrEqual(8);
    expect(seldom()).toMatchObject({ errorPercent: 39.8, responseMeanMs: 2.03 });
  });

  it.each([0.02, 0.7, 3, 42, 999, 31_000, 290_000])("finds the 99th of 100 times, %d ms, to a tenth", (ms) => {
    const meter = requestMeter();
    const read = meter.window();
    for (let at = 0; at < 98; at++) meter.observe({ status: 200, durationMs: ms / 50 });
    meter.observe({ status: 200, durationMs: ms });
    meter.observe({ status: 200, durationMs: ms * 40 });
    const { responseP99Ms } = read();
    expect(responseP99Ms).toBeGreaterThanOrEqual(ms);
    expect(responseP99Ms).toBeLessThan(ms * 1.1 + 0.01);
  });

  it("takes times that are none as 0", () => {
    const meter = requestMeter();
    const read = meter.window();
    for (const durationMs of [Number.NaN, -5, 0]) meter.observe({ status: 200, durationMs });
    expect(read()).toMatchObject({ responseMeanMs: 0, responseP99Ms: 0.01 });
    meter.observe({ status: 200, durationMs: 1e12 });
    expect(read().responseP99Ms).toBeLessThan(400_000);
  });

  it("measures a hub", async () => {
    const meter = requestMeter();
    const read = meter.window();
    const hub = createHub({ onAnswer: meter.observe });
    await hub.fetch(new Request("http://localhost/health"));
    await hub.fetch(new Request("http://localhost/events", { method: "PUT" }));
    expect(read()).toMatchObject({ errorPercent: 50, responseMeanMs: expect.any(Number) });
    await hub.close();
  });
});
