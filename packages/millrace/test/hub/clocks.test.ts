import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Clocks } from "../../src/hub/clocks.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("those who wait equally long are let go together, and no timer runs while nobody waits", () => {
  const released: string[][] = [];
  const clocks = new Clocks<string>((held) => released.push([...held]));
  clocks.hold(100, "a");
  vi.advanceTimersByTime(40);
  clocks.hold(100, "b");
  clocks.hold(70, "c");
  expect(vi.getTimerCount()).toBe(2);
  vi.advanceTimersByTime(35);
  expect(released).toEqual([["c"]]);
  vi.advanceTimersByTime(30);
  expect(released).toEqual([["c"], ["a", "b"]]);
  expect(vi.getTimerCount()).toBe(0);
  clocks.hold(100, "a");
  vi.advanceTimersByTime(90);
  expect(released).toHaveLength(2);
  vi.advanceTimersByTime(10);
  expect(released[2]).toEqual(["a"]);
});

test("who is held in the turn of a tick waits for the next one", () => {
  let ticks = 0;
  const clocks = new Clocks<number>((held) => {
    ticks++;
    for (const one of held) clocks.hold(50, one);
  });
  clocks.hold(50, 1);
  vi.advanceTimersByTime(1000);
  expect(ticks).toBeGreaterThanOrEqual(19);
  expect(ticks).toBeLessThanOrEqual(20);
});
