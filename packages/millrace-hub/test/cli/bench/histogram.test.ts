import { expect, it } from "vitest";
import { add, createHistogram, record, timesOf } from "../../../src/cli/bench/histogram.js";

it("tells percentiles to one part in a hundred", () => {
  const [even, odd] = [createHistogram(), createHistogram()];
  for (let ms = 1; ms <= 10_000; ms++) record(ms % 2 === 0 ? even : odd, ms);
  add(even, odd);
  const { p50, p99, max } = timesOf(even) ?? { p50: 0, p99: 0, max: 0 };
  expect(Math.abs(p50 / 5000 - 1)).toBeLessThan(0.01);
  expect(Math.abs(p99 / 9900 - 1)).toBeLessThan(0.01);
  expect(max).toBe(10_000);
});

it("takes whatever a clock says", () => {
  const histogram = createHistogram();
  for (const ms of [-5, 0, 1e-9, 1e9]) record(histogram, ms);
  expect(histogram.counts.reduce((sum, count) => sum + count)).toBe(4);
  expect(timesOf(histogram)?.max).toBe(1e9);
});

it("says nothing about nothing", () => expect(timesOf(createHistogram())).toBeUndefined());
