import { describe, expect, it } from "vitest";
import { cpuUse } from "../../../src/sources/machine/cpu.js";

describe("cpuUse", () => {
  it("is the busy part of the elapsed time, with one decimal", () => {
    expect(cpuUse([1000, 5000], [1250, 5123], 1000)).toEqual({ cores: [25, 12.3], total: 18.7 });
  });

  it("stays between 0 and 100 where the clocks disagree", () => {
    expect(cpuUse([0, 100], [1010, 90], 1000)).toEqual({ cores: [100, 0], total: 50 });
  });

  it("takes cores that come and go", () => {
    expect(cpuUse([0], [500, 70_000], 1000).cores).toEqual([50, 0]);
    expect(cpuUse([0, 0], [500], 1000).cores).toEqual([50]);
  });

  it("is 0 where the system names no cores", () => {
    expect(cpuUse([], [], 1000)).toEqual({ cores: [], total: 0 });
  });
});
