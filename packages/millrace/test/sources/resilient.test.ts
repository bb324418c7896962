import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { type ResilientOptions, resilient } from "../../src/sources/index.js";
import { within } from "../http/support/until.js";
import { noTimers } from "./timers.js";

/** A source that counts its calls and fails at some of them. */
function failingAt(...calls: number[]) {
  let count = 0;
  return async () => {
    count++;
    if (calls.includes(count)) throw new Error(`call ${count}`);
    return { count };
  };
}

const quick = { everyMs: 2, pauseMs: 4 };

/** The events up to the end, or the first so many. */
async function eventsOf(produce: () => unknown, options: ResilientOptions = quick, most = Infinity) {
  const events: unknown[] = [];
  for await (const event of resilient(produce, options)) if (events.push(event) === most) break;
  return events;
}

const retry = (n: number) => ({ retry: 5000, data: { retry: n } });
const data = (count: number) => ({ data: { count } });

describe("resilient", () => {
  it("hints at a failure, and begins to count anew with a success", async () => {
    const calls = [2, 4, 5, 7, 8];
    expect(await eventsOf(failingAt(...calls), quick, 9)).toEqual([
      ...[data(1), retry(1), data(3), retry(1), retry(2), data(6), retry(1), retry(2), data(9)],
    ]);
  });

  it("gives up at the third failure in a row", async () => {
    expect(await eventsOf(failingAt(2, 4, 5, 6))).toEqual([
      ...[data(1), retry(1), data(3), retry(1), retry(2)],
      { data: { error: "Max retries exceeded: call 6" } },
    ]);
  });

  it("takes other bounds", async () => {
    expect(await eventsOf(failingAt(1), { attempts: 1 })).toEqual([
      { data: { error: "Max retries exceeded: call 1" } },
    ]);
    expect(await eventsOf(failingAt(1, 2), { ...quick, attempts: 2, retryMs: 0 })).toEqual([
      { retry: 0, data: { retry: 1 } },
      { data: { error: "Max retries exceeded: call 2" } },
    ]);
  });

  it("counts a success that has nothing to say", async () => {
    let calls = 0;
    const produce = () => {
      if (++calls % 2 === 1) throw new Error("odd");
      return undefined;
    };
    expect(await eventsOf(produce, quick, 5)).toEqual(Array.from({ length: 5 }, () => retry(1)));
  });

  it("by default calls each 500 ms, and after a failure when a second is over", async () => {
    const calledMs: number[] = [];
    const produce = failingAt(3, 5, 6, 7);
    await eventsOf(() => {
      calledMs.push(performance.now());
      return produce();
    }, {});
    const gaps = calledMs.slice(1).map((at, call) => at - (calledMs[call] ?? 0));
    expect(gaps).toHaveLength(6);
    const [beat1 = 0, beat2 = 0, pause1, beat3 = 0, pause2, pause3] = gaps;
    for (const pause of [pause1, pause2, pause3]) {
      expect(pause).toBeGreaterThan(990);
      expect(pause).toBeLessThan(1400);
    }
    // A late call has an early one behind it: only the sum says how long a beat is.
    expect(beat1 + beat2 + beat3).toBeGreaterThan(1200);
    expect(beat1 + beat2 + beat3).toBeLessThan(2200);
  });

  it("shows of an error its message, of the system's only the code", async () => {
    const lastOf = async (thrown: unknown, options: ResilientOptions = {}) => {
      const produce = () => Promise.reject(thrown);
      const [event] = await eventsOf(produce, { attempts: 1, ...options });
      return (event as { data: { error: string } }).data.error.replace("Max retries exceeded: ", "");
    };
    const refused = await new Promise((resolve) => connect(1, "127.0.0.1").once("error", resolve));
    expect(String(refused)).toContain("127.0.0.1");
    expect(await lastOf(refused)).toBe("ECONNREFUSED");
    expect(await lastOf(new Error("no sensor"))).toBe("no sensor");
    expect(await lastOf("just words")).toBe("just words");
    expect(await lastOf(new TypeError(""))).toBe("TypeError");
    for (const odd of [undefined, null, { secret: 1 }, Object.create(null)]) expect(await lastOf(odd)).toBe("unknown");
    expect(await lastOf(new Error("x".repeat(1000)))).toBe(`${"x".repeat(200)}...`);
    expect(await lastOf(new Error("secret"), { describe: () => "later" })).toBe("later");
  });

  it("tells the application of each failure", async () => {
    const told: string[] = [];
    const onFailure = (error: unknown, failures: number) => told.push(`${failures}: ${error}`);
    await eventsOf(failingAt(1, 3, 4, 5), { ...quick, onFailure });
    expect(told).toEqual(["1: Error: call 1", "1: Error: call 3", "2: Error: call 4", "3: Error: call 5"]);
  });

  it.each(["a pause", "a beat", "a call"])("ends at once in the middle of %s", async (where) => {
    const ended = new AbortController();
    const longMs = 3_600_000;
    const produce = (signal: AbortSignal) => {
      if (where === "a pause") throw new Error("once");
      if (where === "a beat") return 1;
      return new Promise<number>((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
    };
    const options = { everyMs: longMs, pauseMs: longMs, signal: ended.signal };
    const events = resilient(produce, options)[Symbol.asyncIterator]();
    if (where !== "a call") await events.next();
    const next = events.next();
    await delay(2);
    ended.abort();
    expect((await within("the end", next)).done).toBe(true);
    await noTimers();
  });

  it.each([{ everyMs: 0 }, { attempts: 0 }, { attempts: 1.5 }, { pauseMs: -1 }, { retryMs: 0.5 }])(
    "refuses %j",
    (bad) => {
      expect(() => resilient(() => 1, bad)).toThrow(expect.objectContaining({ code: "invalid_option" }));
    },
  );
});
