import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Hub, type HubOptions, type RunWriter } from "../../src/hub/index.js";
import { openDiskLog } from "../../src/log/disk/index.js";
import { createMemoryLog, type Log } from "../../src/log/index.js";
import { MillraceError, parseSelection } from "../../src/protocol/index.js";
import { RecordingSink } from "./recording-sink.js";
import { slowLog } from "./slow-log.js";
import { until } from "./until.js";

function makeHub(options: Partial<HubOptions> = {}) {
  const errors: unknown[] = [];
  const hub = new Hub({
    log: createMemoryLog(),
    heartbeatMs: 0,
    onError: (error) => errors.push(error),
    ...options,
  });
  return { hub, errors };
}

interface Following {
  user?: string;
  roles?: string[];
  rewind?: "all" | number;
  lastEventId?: string;
  form?: "envelope";
}

function follow(
  hub: Hub,
  channels: readonly string[],
  { user, roles, ...options }: Following = {},
  sink = new RecordingSink(),
) {
  const identity = { ...(user && { user }), ...(roles && { roles }) };
  const subscriber = hub.connect({ selection: parseSelection(channels), identity, ...options }, () => sink);
  return { sink, subscriber };
}

/** The events that a sink was given: name, and data as it came. */
const story = ({ events }: RecordingSink) =>
  events.map(({ type, data }) => (type === "message" ? data : `${type.replace("millrace.", "")} ${data}`));
const done = 'end {"status":"done"}';
const failed = (error: string) => `end ${JSON.stringify({ status: "failed", error })}`;
const farewell = 'close {"reason":"ended","reconnect":false}';

/** A producer that is told what to do. */
function puppet() {
  let writer: RunWriter | undefined;
  let finish: () => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const ended = new Promise<void>((resolve, reject) => {
    finish = resolve;
    fail = reject;
  });
  const produce = (run: RunWriter) => {
    writer = run;
    return ended;
  };
  return {
    produce,
    finish,
    fail,
    send: (data: unknown) => (writer as RunWriter).send({ data }),
    get run() {
      return writer as RunWriter;
    },
  };
}

const words =
  (...all: string[]) =>
  async (run: RunWriter) => {
    for (const data of all) await run.send({ data });
  };

describe("a run", () => {
  test("goes to those who follow, and ends their streams for good", async () => {
    const { hub, errors } = makeHub();
    const { sink, subscriber } = follow(hub, ["answers/1"], { user: "u", roles: ["r"] });
    const wide = follow(hub, ["answers/*"]);
    const both = follow(hub, ["answers/1", "news"]);
    const run = await hub.run("answers/1", words("Hello", "world"));
    expect(run.channel).toBe("answers/1");
    expect(await run.done).toEqual({ status: "done" });
    await until(() => sink.closed);
    expect(story(sink)).toEqual(["Hello", "world", done, farewell]);
    expect(sink.lastEventId).toBe("millrace.closed");
    expect(subscriber.closeReason).toBe("ended");
    for (const other of [wide, both]) {
      expect(story(other.sink)).toEqual(["Hello", "world", done]);
      expect(other.sink.ended).toBe(false);
    }
    expect(hub.stats()).toMatchObject({ connections: 2, published: 2 });
    expect(errors).toEqual([]);
    await hub.close();
  });

  test("answers with the position that it follows", async () => {
    const { hub } = makeHub();
    await hub.publish({ channel: "answers/1", data: "before" });
    const puppeteer = puppet();
    const { position } = await hub.run("answers/1", puppeteer.produce);
    await puppeteer.send("a");
    const { sink } = follow(hub, ["answers/1"], { lastEventId: position });
    await puppeteer.send("b");
    puppeteer.finish();
    await until(() => sink.closed);
    expect(story(sink)).toEqual(["a", "b", done, farewell]);
    await hub.close();
  });

  test("is seen whole by those who come late, during and after it", async () => {
    const { hub } = makeHub();
    const puppeteer = puppet();
    const run = await hub.run("a", puppeteer.produce);
    await puppeteer.send("1");
    const during = follow(hub, ["a"], { rewind: "all" });
    await puppeteer.send("2");
    puppeteer.finish();
    await run.done;
    await hub.publish({ channel: "b", data: "something else" });
    const after = follow(hub, ["a"], { rewind: "all" });
    const last = follow(hub, ["a"], { rewind: 1 });
    const tail = follow(hub, ["a"]);
    for (const { sink } of [during, after, last, tail]) await until(() => sink.closed);
    expect(story(during.sink)).toEqual(["1", "2", done, farewell]);
    expect(story(after.sink)).toEqual(["1", "2", done, farewell]);
    expect(story(last.sink)).toEqual([done, farewell]);
    expect(story(tail.sink)).toEqual([farewell]);
    await hub.close();
  });

  test("ends a slow stream only when all of it was taken", async () => {
    const { hub } = makeHub();
    const slow = new RecordingSink();
    follow(hub, ["a"], {}, slow);
    slow.stalled = true;
    const run = await hub.run("a", words(...Array.from({ length: 100 }, (_, at) => `${at} ${"x".repeat(2000)}`)));
    await run.done;
    await nextTurn();
    expect(slow.ended).toBe(false);
    for (let drains = 0; !slow.closed; drains++) {
      expect(drains).toBeLessThan(20);
      slow.drain();
      slow.stalled = true;
      await until(() => slow.ended || slow.writes.length > drains + 2);
    }
    expect(slow.events).toHaveLength(102);
    expect(story(slow).slice(-2)).toEqual([done, farewell]);
    await hub.close();
  });

  test("ends many streams, each when it was given all of it", async () => {
    const { hub } = makeHub({ turn: { writingMs: 0, writesPerLook: 1 } });
    const sinks = Array.from({ length: 50 }, () => follow(hub, ["a"]).sink);
    const run = await hub.run("a", words("1", "2"));
    await run.done;
    expect(sinks.some(({ ended }) => !ended)).toBe(true); // it is cut into turns
    for (const sink of sinks) await until(() => sink.closed);
    for (const sink of sinks) expect(story(sink)).toEqual(["1", "2", done, farewell]);
    await hub.close();
  });

  test("of several ends a stream when the last of them has ended", async () => {
    const { hub } = makeHub();
    const { sink } = follow(hub, ["a", "b"]);
    const [first, second] = [puppet(), puppet()];
    const runs = [await hub.run("a", first.produce), await hub.run("b", second.produce)];
    first.finish();
    await runs[0]?.done;
    await second.send("more");
    expect(sink.ended).toBe(false);
    second.finish();
    await until(() => sink.closed);
    expect(story(sink)).toEqual([done, "more", done, farewell]);
    await hub.close();
  });

  test("keeps the name and form of its end in an envelope", async () => {
    const { hub } = makeHub();
    const { sink } = follow(hub, ["a"], { form: "envelope" });
    await hub.run("a", words("1"));
    await until(() => sink.closed);
    expect(JSON.parse(sink.events[0]?.data ?? "")).toMatchObject({ channel: "a", data: "1" });
    expect(story(sink).slice(1)).toEqual([done, farewell]);
    await hub.close();
  });

  test("is followed by loops inside the program, which see its end", async () => {
    const { hub } = makeHub();
    await hub.run("a", words("1"));
    const seen: unknown[] = [];
    for await (const { event, data } of hub.subscribe({ channels: ["a"], rewind: "all" })) {
      seen.push(event, data);
      if (event === "millrace.end") break;
    }
    expect(seen).toEqual(["message", "1", "millrace.end", { status: "done" }]);
    await hub.close();
  });

  test("ends the loops that read nothing else, before it, during it and after it", async () => {
    const { hub } = makeHub();
    const puppeteer = puppet();
    const loop = async (channels: string[], rewind?: "all") => {
      const seen: unknown[] = [];
      for await (const { data } of hub.subscribe({ channels, ...(rewind && { rewind }) })) seen.push(data);
      return seen;
    };
    const end = { status: "done" };
    const before = loop(["a"]);
    let widerEnded = false;
    const wider = loop(["a", "b"]).finally(() => {
      widerEnded = true;
    });
    const { done: ended } = await hub.run("a", puppeteer.produce);
    await puppeteer.send("1");
    const during = loop(["a"]);
    await puppeteer.send("2");
    puppeteer.finish();
    await ended;
    expect(await before).toEqual(["1", "2", end]);
    expect(await during).toEqual(["2", end]);
    expect(await loop(["a"], "all")).toEqual(["1", "2", end]);
    expect(await loop(["a"])).toEqual([]);
    expect(widerEnded).toBe(false);
    await hub.close();
    expect(await wider).toEqual(["1", "2", end]);
  });

  const two = async function* () {
    yield { data: "1" };
    yield { data: "2" };
  };
  test.each([
    ["an async generator", two],
    ["a promise of an iterable", async () => two()],
  ])("sends what %s yields", async (_, produce) => {
    const { hub, errors } = makeHub();
    const { sink } = follow(hub, ["a"]);
    expect(await (await hub.run("a", produce)).done).toEqual({ status: "done" });
    await until(() => sink.closed);
    expect(story(sink)).toEqual(["1", "2", done, farewell]);
    expect(errors).toEqual([]);
    await hub.close();
  });

  test("that yields leaves its generator when it is over", async () => {
    const { hub, errors } = makeHub();
    let cleaned = 0;
    const produce = async function* (run: RunWriter) {
      try {
        yield { data: "1" };
        if (run.channel === "failed") await run.fail("enough");
        while (true) yield { data: "2" };
      } finally {
        cleaned++;
      }
    };
    expect(await (await hub.run("failed", produce)).done).toEqual({ status: "failed", error: "enough" });
    const { done: end } = await hub.run("endless", produce);
    await until(() => hub.stats().published > 5);
    await hub.close();
    expect(await end).toEqual({ status: "failed", error: "the hub has closed" });
    await until(() => cleaned === 2);
    expect(errors).toEqual([]);
  });

  test("ends a stream that changes to it, or is left with it", async () => {
    const { hub } = makeHub();
    const run = await hub.run("a", words("1"));
    await run.done;
    const { sink, subscriber } = follow(hub, ["a", "news"]);
    const other = follow(hub, ["news"]);
    hub.changeChannels(subscriber, { drop: ["news"] });
    hub.changeChannels(other.subscriber, { add: ["a"], drop: ["news"] });
    for (const each of [sink, other.sink]) {
      await until(() => each.closed);
      expect(story(each)).toEqual([farewell]);
    }
    await hub.close();
  });
});

describe("the one writer of a run", () => {
  test("is the run, while it goes on and after it", async () => {
    const { hub } = makeHub();
    const puppeteer = puppet();
    const run = await hub.run("a", puppeteer.produce);
    await expect(hub.run("a", words())).rejects.toMatchObject({ code: "run_active" });
    await expect(hub.publish({ channel: "a", data: "no" })).rejects.toMatchObject({ code: "run_active" });
    await expect(
      hub.publish([
        { channel: "b", data: "no" },
        { channel: "a", data: "no" },
      ]),
    ).rejects.toThrow(/"a"/);
    puppeteer.finish();
    await run.done;
    await expect(hub.run("a", words())).rejects.toMatchObject({ code: "run_ended" });
    await expect(hub.publish({ channel: "a", data: "no" })).rejects.toMatchObject({ code: "run_ended" });
    await expect(puppeteer.send("late")).rejects.toMatchObject({ code: "run_ended" });
    void puppeteer.send("late, and nobody looks");
    expect(hub.stats().published).toBe(0);
    await hub.close();
  });

  test("is one, whoever is quicker", async () => {
    const { hub } = makeHub();
    const calls = Array.from({ length: 10 }, () => hub.run("a", words("x")));
    const results = await Promise.allSettled(calls);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await hub.close();
  });

  test.each(["@user/1", "@role/x", "@all", "@runs", "a*", "", "a\nb"])(
    "has a channel of its own, not %j",
    async (channel) => {
      const { hub } = makeHub();
      await expect(hub.run(channel, words())).rejects.toMatchObject({ code: "invalid_channel" });
      expect(hub.log.tail).toBe(0);
      await hub.close();
    },
  );

  test("cannot publish the end itself, nor elsewhere", async () => {
    const { hub } = makeHub();
    const puppeteer = puppet();
    await hub.run("a", puppeteer.produce);
    const wrong = { event: "millrace.end", data: "x" };
    await expect(puppeteer.run.send(wrong)).rejects.toMatchObject({ code: "invalid_event" });
    const elsewhere = { channel: "b", data: "x" };
    await expect(puppeteer.run.send(elsewhere)).rejects.toMatchObject({ code: "invalid_event" });
    await hub.close();
  });
});

describe("a run that fails", () => {
  const endOf = async (work: Parameters<Hub["run"]>[1]) => {
    const { hub, errors } = makeHub();
    const { sink } = follow(hub, ["a"]);
    const { done: end } = await hub.run("a", work);
    const outcome = await end;
    await until(() => sink.closed);
    expect(story(sink).at(-2)).toBe(`end ${JSON.stringify(outcome)}`);
    await hub.close();
    return { outcome, errors, story: story(sink) };
  };

  test("tells its clients what it says itself", async () => {
    const {
      outcome,
      errors,
      story: told,
    } = await endOf(async (run) => {
      await run.send({ data: "1" });
      await run.fail("the model is overloaded");
      expect(run.signal.aborted).toBe(true);
      await run.send({ data: "2" });
    });
    expect(outcome).toEqual({ status: "failed", error: "the model is overloaded" });
    expect(told).toEqual(["1", failed("the model is overloaded"), farewell]);
    expect(errors).toEqual([]);
  });

  test("tells them of a MillraceError, and the application too", async () => {
    const { outcome, errors } = await endOf(async (run) => {
      await run.send({ data: () => {} });
    });
    expect(outcome).toEqual({ status: "failed", error: expect.stringContaining("which JSON cannot carry") });
    expect(errors).toEqual([expect.objectContaining({ code: "invalid_event" })]);
  });

  test.each([
    ["said", (run: RunWriter) => run.fail(`${"x".repeat(999)}😀${"x".repeat(3e6)}`)],
    ["thrown", () => Promise.reject(new MillraceError("invalid_event", `${"x".repeat(999)}😀${"x".repeat(3e6)}`))],
  ])("with a huge message that was %s tells them its beginning", async (_, work) => {
    const { outcome } = await endOf(work);
    expect(outcome).toEqual({ status: "failed", error: `${"x".repeat(999)}\ufffd` });
  });

  test.each([
    ["an error of the program", new Error("connect ECONNREFUSED 10.0.0.7: password=hunter2")],
    ["an error of the store, which names files", new MillraceError("store_failed", "/var/lib/secret.log is short")],
    ["what is no error", "hunter2"],
    ["an AbortError of something else", new DOMException("fetch hunter2", "AbortError")],
  ])("tells them nothing of %s", async (_, error) => {
    const { outcome, errors, story: told } = await endOf(() => Promise.reject(error));
    expect(outcome).toEqual({ status: "failed", error: "the producer failed" });
    expect(told).toEqual([failed("the producer failed"), farewell]);
    expect(errors).toEqual([error]);
  });

  test("when it throws at once", async () => {
    const { outcome } = await endOf(() => {
      throw new Error("x");
    });
    expect(outcome.status).toBe("failed");
  });

  test("counts once: what comes first", async () => {
    const { outcome, story: told } = await endOf(async (run) => {
      await Promise.all([run.fail("first"), run.fail("second")]);
    });
    expect(outcome).toEqual({ status: "failed", error: "first" });
    expect(told).toHaveLength(2);
  });
});

describe("a run that is stopped", () => {
  test("is asked by its signal, and ends when its producer does", async () => {
    const { hub, errors } = makeHub();
    const stop = new AbortController();
    const puppeteer = puppet();
    const run = await hub.run("a", puppeteer.produce, { signal: stop.signal });
    stop.abort();
    expect(puppeteer.run.signal.aborted).toBe(true);
    await puppeteer.send("the last words");
    puppeteer.finish();
    expect(await run.done).toEqual({ status: "done" });
    const other = puppet();
    const again = new AbortController();
    const second = await hub.run("b", other.produce, { signal: again.signal });
    again.abort();
    other.fail(other.run.signal.reason);
    expect(await second.done).toEqual({ status: "failed", error: "the run was stopped" });
    expect(errors).toEqual([]);
    await expect(hub.run("c", words(), { signal: stop.signal })).rejects.toThrow();
    expect(hub.log.tail).toBe(7);
    await hub.close();
  });

  test("by the hub's end is told so, before the streams are sent away", async () => {
    const { hub, errors } = makeHub();
    const { sink } = follow(hub, ["a"]);
    const other = follow(hub, ["b"]);
    const puppeteer = puppet();
    const run = await hub.run("a", puppeteer.produce);
    const closed = hub.close();
    expect(puppeteer.run.signal.aborted).toBe(true);
    await expect(puppeteer.send("more")).rejects.toMatchObject({ code: "run_ended" });
    await expect(hub.run("c", words())).rejects.toMatchObject({ code: "closed" });
    await closed;
    expect(await run.done).toEqual({ status: "failed", error: "the hub has closed" });
    expect(story(sink)).toEqual([failed("the hub has closed"), farewell]);
    expect(story(other.sink)).toEqual(['close {"reason":"shutdown","reconnect":true}']);
    puppeteer.fail(puppeteer.run.signal.reason);
    await nextTurn();
    expect(errors).toEqual([]);
  });

  test("by the hub's end is so in a log that takes its time", async () => {
    const { hub } = makeHub({ log: wrapped(createMemoryLog(), (append) => sleep(50).then(append)) });
    const { sink } = follow(hub, ["a"]);
    await hub.run("a", puppet().produce);
    await hub.close();
    expect(story(sink)).toEqual([failed("the hub has closed"), farewell]);
  });

  test("by the hub's end as it begins", async () => {
    const { hub } = makeHub();
    const puppeteer = puppet();
    const starting = hub.run("a", puppeteer.produce);
    const closed = hub.close();
    const outcome = await starting.then(
      (run) => run.done,
      (error) => error.code,
    );
    expect(outcome === "closed" || outcome.status === "failed").toBe(true);
    await closed;
  });
});

/** The same log, whose appends are done when and as `around` does them. */
function wrapped(log: Log, around: (append: () => ReturnType<Log["append"]>) => ReturnType<Log["append"]>): Log {
  const append: Log["append"] = (...args) => around(() => log.append(...args));
  return new Proxy(log, {
    get: (target, name) => {
      const value: unknown = name === "append" ? append : Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A log whose appends fail while `fails` is set. */
function failing(inner: Log) {
  const state = { fails: false, attempts: 0 };
  const log = wrapped(inner, (append) => {
    state.attempts++;
    return state.fails ? Promise.reject(new MillraceError("store_full", "no space")) : append();
  });
  return { log, state };
}

describe("a log that takes nothing", () => {
  test("lets no run begin, and the next try may", async () => {
    const { log, state } = failing(createMemoryLog());
    const { hub } = makeHub({ log });
    state.fails = true;
    await expect(hub.run("a", words())).rejects.toMatchObject({ code: "store_full" });
    state.fails = false;
    const run = await hub.run("a", words());
    expect(await run.done).toEqual({ status: "done" });
    await hub.close();
  });

  test("is asked again to take the end, until it does", async () => {
    const { log, state } = failing(createMemoryLog());
    const { hub, errors } = makeHub({ log });
    const { sink } = follow(hub, ["a"]);
    const puppeteer = puppet();
    const run = await hub.run("a", puppeteer.produce);
    state.fails = true;
    puppeteer.finish();
    await until(() => state.attempts >= 3);
    expect(sink.ended).toBe(false);
    state.fails = false;
    expect(await run.done).toEqual({ status: "done" });
    await until(() => sink.closed);
    expect(errors).toEqual([expect.objectContaining({ code: "store_full" })]);
    await hub.close();
  });

  test("that has taken the end but could not say so has it once", async () => {
    const inner = createMemoryLog();
    let isSure = true;
    const log: Log = new Proxy(inner, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (name !== "append") return typeof value === "function" ? value.bind(target) : value;
        const append: Log["append"] = async (...args) => {
          const appended = await target.append(...args);
          if (isSure) return appended;
          isSure = true;
          throw new MillraceError("store_unsure", "it has not answered");
        };
        return append;
      },
    });
    const { hub } = makeHub({ log });
    const puppeteer = puppet();
    const run = await hub.run("a", puppeteer.produce);
    isSure = false;
    puppeteer.finish();
    expect(await run.done).toEqual({ status: "done" });
    const { sink } = follow(hub, ["a"], { rewind: "all" });
    await until(() => sink.closed);
    expect(story(sink)).toEqual([done, farewell]);
    await hub.close();
  });

  test("for good is not asked again", async () => {
    const inner = createMemoryLog();
    const { hub, errors } = makeHub({ log: inner });
    const puppeteer = puppet();
    const run = await hub.run("a", puppeteer.produce);
    await inner.close();
    puppeteer.finish();
    expect(await run.done).toEqual({ status: "done" });
    expect(errors).toEqual([expect.objectContaining({ code: "closed" })]);
    await hub.close();
  });

  test("does not hold up the hub's end", async () => {
    const { log, state } = failing(createMemoryLog());
    const { hub } = makeHub({ log });
    const run = await hub.run("a", puppet().produce);
    state.fails = true;
    await hub.close();
    expect((await run.done).status).toBe("failed");
  });
});

function folder() {
  const name = fs.mkdtempSync(path.join(os.tmpdir(), "millrace-runs-"));
  return { name, [Symbol.dispose]: () => fs.rmSync(name, { recursive: true, force: true }) };
}

/** The files of a hub as they are while it runs: what one that was killed leaves behind. */
function killed(from: string, to: string): void {
  fs.mkdirSync(to);
  for (const name of fs.readdirSync(from))
    if (name !== "lock") fs.copyFileSync(path.join(from, name), path.join(to, name));
}

/** The same log, which cannot be read while `fails` says so. */
function unreadable(log: Log, fails: () => boolean): Log {
  return new Proxy(log, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (name === "read" && fails()) return () => Promise.reject(new Error("EIO"));
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("the next hub on a log", () => {
  test("is refused while there is one, and leaves its runs alone", async () => {
    const { hub, errors } = makeHub();
    const puppeteer = puppet();
    const run = await hub.run("a", puppeteer.produce);
    expect(() => makeHub({ log: hub.log })).toThrow(/has a hub already/);
    await puppeteer.send("1");
    puppeteer.finish();
    expect(await run.done).toEqual({ status: "done" });
    const { sink } = follow(hub, ["a"], { rewind: "all" });
    await until(() => sink.closed);
    expect(story(sink)).toEqual(["1", done, farewell]);
    await hub.close();
    expect(errors).toEqual([]);
  });

  test("lets nobody publish until it knows the runs, and tries again when it cannot read of them", async () => {
    using root = folder();
    const first = makeHub({ log: await openDiskLog(root.name) });
    await (await first.hub.run("a", words("1"))).done;
    await first.hub.close();
    let fails = true;
    const { hub, errors } = makeHub({ log: unreadable(await openDiskLog(root.name), () => fails) });
    const publish = () => hub.publish({ channel: "a", data: "a stranger's" });
    await expect(publish()).rejects.toMatchObject({ code: "store_failed", message: expect.stringMatching(/runs/) });
    await expect(hub.run("b", words())).rejects.toMatchObject({ code: "store_failed" });
    expect(errors).toEqual([new Error("EIO")]);
    fails = false;
    await until(() => hub.isOver(parseSelection(["a"]), hub.position()));
    await expect(publish()).rejects.toMatchObject({ code: "run_ended" });
    await hub.publish({ channel: "b", data: "x" });
    await hub.close();
  });

  test("may be closed while it cannot read of the runs", async () => {
    using root = folder();
    const first = makeHub({ log: await openDiskLog(root.name) });
    await (await first.hub.run("a", words("1"))).done;
    await first.hub.close();
    const { hub, errors } = makeHub({ log: unreadable(await openDiskLog(root.name), () => true) });
    await until(() => errors.length > 0);
    await hub.close();
    await expect(hub.run("c", words())).rejects.toMatchObject({ code: "closed" });
  });

  test("knows of runs however little the log keeps of events", async () => {
    using root = folder();
    const [store, copy] = [path.join(root.name, "store"), path.join(root.name, "copy")];
    const options = { retention: { events: 2, ageMs: 50 } };
    const first = makeHub({ log: await openDiskLog(store, options) });
    await first.hub.run("long", puppet().produce);
    for (let n = 0; n < 6; n++) await (await first.hub.run(`short/${n}`, words("x"))).done;
    await until(() => first.hub.log.stats().entries <= 13); // the records alone
    killed(store, copy);
    await first.hub.close();
    const { hub, errors } = makeHub({ log: await openDiskLog(copy, options) });
    const { sink } = follow(hub, ["long"], { rewind: "all" });
    await until(() => sink.closed);
    expect(story(sink)).toEqual([failed("the producer has gone"), farewell]);
    await expect(hub.publish({ channel: "short/0", data: "x" })).rejects.toMatchObject({ code: "run_ended" });
    await hub.close();
    expect(errors).toEqual([]);
  });

  test("knows the runs that have ended, and ends those whose producer has gone", async () => {
    using root = folder();
    const [store, copy] = [path.join(root.name, "store"), path.join(root.name, "copy")];
    const first = makeHub({ log: await openDiskLog(store) });
    const ended = await first.hub.run("ended", words("1", "2"));
    await ended.done;
    const puppeteer = puppet();
    await first.hub.run("gone", puppeteer.produce);
    const lastSeen = await puppeteer.send("half of it");
    killed(store, copy);
    await first.hub.close();

    const { hub, errors } = makeHub({ log: await openDiskLog(copy) });
    // At once, before it can have read what there is.
    const early = ["ended", "gone"].map((channel) => follow(hub, [channel], { rewind: "all" }));
    await expect(hub.publish({ channel: "ended", data: "no" })).rejects.toMatchObject({ code: "run_ended" });
    await expect(hub.run("gone", words())).rejects.toMatchObject({ code: expect.stringMatching(/^run_/) });
    const back = follow(hub, ["gone"], { lastEventId: lastSeen });
    for (const { sink } of [...early, back]) await until(() => sink.closed);
    expect(story(early[0]?.sink as RecordingSink)).toEqual(["1", "2", done, farewell]);
    expect(story(early[1]?.sink as RecordingSink)).toEqual(["half of it", failed("the producer has gone"), farewell]);
    expect(story(back.sink)).toEqual([failed("the producer has gone"), farewell]);
    expect(hub.isOver(parseSelection(["gone"]), lastSeen)).toBe(false);
    expect(hub.isOver(parseSelection(["gone"]), hub.position())).toBe(true);
    await hub.close();
    expect(errors).toEqual([]);

    const third = makeHub({ log: await openDiskLog(copy) });
    await expect(third.hub.run("gone", words())).rejects.toMatchObject({ code: "run_ended" });
    const again = follow(third.hub, ["gone"], { rewind: "all" });
    await until(() => again.sink.closed);
    const endId = again.sink.events.at(-2)?.lastEventId ?? "";
    expect(third.hub.isOver(parseSelection(["gone"]), endId)).toBe(true);
    expect(third.hub.isOver(parseSelection(["gone", "news"]), endId)).toBe(false);
    expect(third.hub.isOver(parseSelection(["gone/*"]), endId)).toBe(false);
    expect(third.hub.isOver(parseSelection(["gone"]), lastSeen)).toBe(false);
    expect(third.hub.isOver(parseSelection(["gone"]), "no position")).toBe(false);
    expect(story(again.sink)).toEqual(["half of it", failed("the producer has gone"), farewell]); // once
    await third.hub.close();
  });

  test("may be closed while it reads", async () => {
    using root = folder();
    const first = makeHub({ log: await openDiskLog(root.name) });
    await (await first.hub.run("a", words("1"))).done;
    await first.hub.close();
    const second = makeHub({ log: await openDiskLog(root.name) });
    const starting = second.hub.run("b", words()).catch((error) => error);
    await second.hub.close();
    expect(await starting).toMatchObject({ code: "closed" });
    expect(second.errors).toEqual([]);
  });
});

describe("of runs the newest records are kept", () => {
  /** As many as crowd out all that came before. */
  const crowd = (hub: Hub) =>
    hub.log.append(
      Array.from({ length: 100_000 }, (_, at) => ({
        ...{ channel: "@runs", event: undefined, json: true, key: undefined, retry: undefined },
        data: JSON.stringify({ channel: `other/${at}`, state: "done" }),
      })),
    );

  test("and what they no longer tell is forgotten", async () => {
    const { hub } = makeHub();
    for (let n = 1; n <= 2; n++) await (await hub.run(`a/${n}`, words("x"))).done;
    await expect(hub.run("a/1", words())).rejects.toMatchObject({ code: "run_ended" });
    await crowd(hub);
    await (await hub.run("a/1", words("again"))).done;
    await expect(hub.run("a/1", words())).rejects.toMatchObject({ code: "run_ended" });
    await hub.close();
  });

  test("and of a run that goes on for long it is written down again", async () => {
    using root = folder();
    const [store, copy] = [path.join(root.name, "store"), path.join(root.name, "copy")];
    const first = makeHub({ log: await openDiskLog(store) });
    await first.hub.run("long", puppet().produce);
    await crowd(first.hub);
    await (await first.hub.run("short", words("x"))).done;
    killed(store, copy);
    await first.hub.close();
    const { hub } = makeHub({ log: await openDiskLog(copy) });
    const { sink } = follow(hub, ["long"]);
    await until(() => sink.closed);
    expect(story(sink)).toEqual([failed("the producer has gone"), farewell]);
    await hub.close();
  });
});

test("each who follows a run, whenever and however slowly, has all of it once and is then sent away", async () => {
  const follower = fc.record({
    at: fc.nat(12),
    stalls: fc.boolean(),
    from: fc.constantFrom("rewind" as const, "position" as const, "seen" as const),
    changes: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 12 }),
      fc.array(follower, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 0, max: 3 }),
      async (count, followers, turns) => {
        let reads = 0;
        const { hub, errors } = makeHub({ log: slowLog(createMemoryLog(), () => (turns === 0 ? 0 : reads++ % turns)) });
        const puppeteer = puppet();
        const { position, done: end } = await hub.run("a", puppeteer.produce);
        const ids = [position];
        const all: { sink: RecordingSink; expected: string[] }[] = [];
        const expected = [...Array.from({ length: count }, (_, at) => `${at}`), done, farewell];
        for (let step = 0; step <= 12; step++) {
          for (const { at, stalls, from, changes } of followers) {
            if (at !== step) continue;
            const sink = new RecordingSink();
            const seen = from === "seen" ? Math.min(step, ids.length - 1) : 0;
            const begin = from === "rewind" ? { rewind: "all" as const } : { lastEventId: ids[seen] as string };
            const { subscriber } = follow(hub, changes ? ["a", "b"] : ["a"], begin, sink);
            sink.stalled = stalls;
            if (changes) hub.changeChannels(subscriber, { drop: ["b"] });
            all.push({ sink, expected: expected.slice(seen) });
          }
          if (step < count) {
            const id = puppeteer.send(`${step}`);
            if (step % 3 === 0) await hub.publish({ channel: "b", data: "no" });
            ids.push(await id);
          }
          if (step === count) puppeteer.finish();
          for (const { sink } of all) if (sink.stalled && step % 2 === 0) sink.drain();
        }
        await end;
        for (const { sink } of all) {
          sink.drain();
          await until(() => sink.closed);
        }
        for (const { sink, expected: theirs } of all) expect(story(sink)).toEqual(theirs);
        expect(errors).toEqual([]);
        await hub.close();
      },
    ),
    { numRuns: process.env.MILLRACE_LONG === "1" ? 5000 : 150 },
  );
});
