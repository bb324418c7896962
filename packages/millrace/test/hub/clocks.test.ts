import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Cadence, Clocks } from "../../src/hub/clocks.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const waiting = (name: string) => ({ name, cadence: new Cadence() });

test("those who wait for about the same time share a timer, and none runs while nobody waits", () => {
  const released: string[] = [];
  const clocks = new Clocks<ReturnType<typeof waiting>>(({ name }) => void released.push(name));
  const startMs = performance.now();
  const hold = (name: string, afterMs: number) => {
    const one = waiting(name);
    clocks.hold(one, one.cadence, startMs + afterMs);
    return one;
  };
  hold("a", 95);
  hold("b", 70);
  hold("c", 98);
  expect(vi.getTimerCount()).toBe(2);
  vi.advanceTimersByTime(69);
  expect(released).toEqual([]);
  vi.advanceTimersByTime(16);
  expect(released).toEqual(["b"]);
  vi.advanceTimersByTime(30);
  expect(released).toEqual(["b", "a", "c"]);
  expect(vi.getTimerCount()).toBe(0);
});

test("who is forgotten is not let go, and whoever is held in the turn of a tick waits for the next one", () => {
  const released: string[] = [];
  const clocks = new Clocks<ReturnType<typeof waiting>>((one) => {
    released.push(one.name);
    if (released.length < 5) clocks.hold(one, one.cadence, performance.now() + 50);
  });
  const [gone, stays] = [waiting("gone"), waiting("stays")];
  for (const one of [gone, stays]) clocks.hold(one, one.cadence, performance.now() + 50);
  clocks.forget(gone);
  vi.advanceTimersByTime(70);
  expect(released).toEqual(["stays"]);
  vi.advanceTimersByTime(1000);
  expect(released).toEqual(Array.from({ length: 5 }, () => "stays"));
});
