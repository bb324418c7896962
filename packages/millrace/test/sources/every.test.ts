import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { every } from "../../src/sources/index.js";
import { until, within } from "../http/support/until.js";
import { noTimers, timers, warningsOf } from "./timers.js";

const longMs = 3_600_000;

/** An iterator that has had its first value and waits for the next beat, an hour away. */
async function waiting(options?: { signal?: AbortSignal }) {
  const values = every(longMs, () => 1, options)[Symbol.asyncIterator]();
  await values.next();
  return { values, next: values.next() };
}

describe("every", () => {
  it("keeps to the beat of its first call, however long a call takes", async () => {
    const ms = 20;
    const calledMs: number[] = [];
    for await (const at of every(ms, async () => {
      const now = performance.now();
      await delay(9);
      return now;
    })) {
      if (calledMs.push(at) === 25) break;
    }
    const late = calledMs.map((at) => (at - (calledMs[0] ?? 0) + 2) % ms).sort((a, b) => a - b);
    expect(late[12]).toBeLessThan(6); // one that waits 20 ms after each call is anywhere between 0 and 20
  });

  it("has one call at a time", async () => {
    let running = 0;
    const most: number[] = [];
    for await (const seen of every(2, async () => {
      running++;
      await delay(9);
      return running--;
    })) {
      if (most.push(seen) === 10) break;
    }
    expect(Math.max(...most)).toBe(1);
  });

  it("lets a slow consumer miss beats, and queues nothing", async () => {
    let calls = 0;
    let taken = 0;
    for await (const call of every(2, () => ++calls)) {
      expect(call).toBe(++taken);
      await delay(11);
      expect(calls).toBe(taken);
      if (taken === 10) break;
    }
  });

  it("does not catch up on what a slow consumer has missed", async () => {
    const calledMs: number[] = [];
    for await (const at of every(20, () => performance.now())) {
      if (calledMs.push(at) === 1) await delay(150);
      if (calledMs.length === 5) break;
    }
    expect((calledMs[4] ?? 0) - (calledMs[1] ?? 0)).toBeGreaterThan(45); // three beats; what was queued comes at once
  });

  it("yields nothing for undefined, and falsy values as they are", async () => {
    const answers = [undefined, 0, undefined, "", null, false];
    const seen: unknown[] = [];
    for await (const value of every<unknown>(1, () => answers.shift())) {
      if (seen.push(value) === 4) break;
    }
    expect(seen).toEqual([0, "", null, false]);
  });

  it("calls nothing and starts no timer before it is iterated; each iteration is its own", async () => {
    let calls = 0;
    const source = every(1, () => ++calls);
    const idle = source[Symbol.asyncIterator]();
    await delay(10);
    expect(calls).toBe(0);
    await noTimers();
    for await (const call of source) if (call === 2) break;
    for await (const call of source) {
      expect(call).toBe(3);
      break;
    }
    expect(await idle.return?.()).toEqual({ done: true, value: undefined });
    expect(await idle.next()).toEqual({ done: true, value: undefined });
    expect(calls).toBe(3);
  });

  it("ends at once, timer and all, by return()", async () => {
    const { values, next } = await waiting();
    await until("one timer", () => timers() === 1);
    expect(await within("the end", Promise.resolve(values.return?.()))).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
    await noTimers();
  });

  it("ends at once, timer and all, by throw()", async () => {
    const { values, next } = await waiting();
    await expect(values.throw?.(new Error("enough"))).rejects.toThrow("enough");
    expect((await next).done).toBe(true);
    await noTimers();
  });

  it("ends at once, timer and all, by its signal", async () => {
    const ended = new AbortController();
    const { next } = await waiting({ signal: ended.signal });
    ended.abort();
    expect((await within("the end", next)).done).toBe(true);
    await noTimers();
    for await (const _ of every(1, () => 1, { signal: ended.signal })) expect.fail("its signal had aborted");
  });

  it("ends although a call never answers, and tells the call", async () => {
    const ended = new AbortController();
    let told: AbortSignal | undefined;
    const source = every(
      1,
      (signal) => {
        told = signal;
        return new Promise<number>(() => {});
      },
      { signal: ended.signal },
    );
    const next = source[Symbol.asyncIterator]().next();
    await delay(1);
    ended.abort();
    expect((await within("the end", next)).done).toBe(true);
    expect(told?.aborted).toBe(true);
  });

  it.each(["throws", "rejects"])("ends with the error when a call %s", async (how) => {
    let calls = 0;
    const run = async () => {
      for await (const _ of every(1, (): number | Promise<number> => {
        if (++calls < 3) return calls;
        if (how === "rejects") return Promise.reject(new Error("broken"));
        throw new Error("broken");
      }));
    };
    await expect(run()).rejects.toThrow("broken");
    expect(calls).toBe(3);
    await noTimers();
  });

  it("takes a hundred iterations under one signal without a warning, and ends them all", async () => {
    const ended = new AbortController();
    const warnings = await warningsOf(async () => {
      const all = await Promise.all(Array.from({ length: 100 }, () => waiting({ signal: ended.signal })));
      ended.abort();
      const last = await within("the end of all", Promise.all(all.map(({ next }) => next)));
      expect(last.every(({ done }) => done)).toBe(true);
    });
    expect(warnings).toEqual([]);
    await noTimers();
  });

  it("leaves nothing behind in a signal that lives on", async () => {
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const { signal } = new AbortController();
    const work = async (count: number) => {
      for (let at = 0; at < count; at++) for await (const _ of every(1, () => 1, { signal })) break;
      await delay(5);
      collect();
      return process.memoryUsage().heapUsed;
    };
    await work(5_000);
    const before = await work(5_000);
    expect((await work(30_000)) - before).toBeLessThan(500_000); // AbortSignal.any: 1.6 MB and more
  });

  it.each([0, -1, 0.5, Number.NaN, Infinity, 2 ** 31])("refuses %d ms", (ms) => {
    expect(() => every(ms, () => 1)).toThrow(expect.objectContaining({ code: "invalid_option" }));
  });
});
