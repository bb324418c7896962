import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Follows } from "../../../src/log/redis/follows.js";
import { select } from "../support.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Follows, and how often they have asked to be asked. */
function start() {
  let asked = 0;
  const follows = new Follows(() => asked++);
  const settle = (since: number) => {
    const { exact, prefixes, ready } = follows.takeWanted();
    ready(since);
    return { exact, prefixes };
  };
  return { follows, settle, asked: () => asked };
}

test("each name and prefix is asked for once, and live from the tail that was learnt then", () => {
  const { follows, settle, asked } = start();
  const one = follows.follow(select("a", "b/*"));
  const other = follows.follow(select("a"));
  expect(asked()).toBe(2);
  expect([one.live, other.live]).toEqual([false, false]);
  expect(follows.isComing(select("a"))).toBe(true);
  expect(follows.sinceOf("a")).toBeUndefined();
  expect(settle(7)).toEqual({ exact: ["a"], prefixes: ["b/"] });
  expect([one.live, other.live]).toEqual([true, true]);
  expect(follows.isComing(select("a"))).toBe(false);
  const late = follows.follow(select("a", "c"));
  expect(late.live).toBe(false);
  expect(settle(9)).toEqual({ exact: ["c"], prefixes: [] });
  expect(follows.sinceOf("a")).toBe(7);
  expect(follows.sinceOf("b/x")).toBe(7);
  expect(follows.sinceOf("b/")).toBeUndefined();
  expect(follows.sinceOfAll(select("a", "c"))).toBe(9);
  expect(follows.sinceOfAll(select("b/x/*"))).toBe(7); // within a wider one
  expect(follows.sinceOfAll(select("*"))).toBeUndefined();
  expect(follows.sinceOfAll(select("a", "d"))).toBeUndefined();
});

test("what nobody follows is given up after a while, and what is followed again is not", () => {
  const { follows, settle } = start();
  const one = follows.follow(select("a", "b"));
  const other = follows.follow(select("b", "c/*"));
  settle(1);
  one.end();
  one.end(); // once is enough
  expect(follows.takeUnwanted()).toEqual({ exact: [], prefixes: [] });
  vi.advanceTimersByTime(9000);
  other.end();
  const again = follows.follow(select("b"));
  expect(again.live).toBe(true);
  vi.advanceTimersByTime(1500);
  expect(follows.takeUnwanted()).toEqual({ exact: ["a"], prefixes: [] });
  expect(follows.sinceOf("a")).toBeUndefined();
  vi.advanceTimersByTime(20_000);
  expect(follows.takeUnwanted()).toEqual({ exact: [], prefixes: ["c/"] });
  expect(follows.isAsked("b")).toBe(true);
});

test("a new connection is asked for all; what came before stays known, unless something was missed", () => {
  const { follows, settle } = start();
  const one = follows.follow(select("a"));
  settle(3);
  follows.forgetAsked();
  follows.follow(select("b"));
  expect(one.live).toBe(true);
  expect(follows.listened().exact).toEqual(["a"]);
  expect(settle(8)).toEqual({ exact: ["a", "b"], prefixes: [] });
  expect([follows.sinceOf("a"), follows.sinceOf("b")]).toEqual([3, 8]);
  follows.restart(20);
  expect([follows.sinceOf("a"), follows.sinceOf("b")]).toEqual([20, 20]);
});
