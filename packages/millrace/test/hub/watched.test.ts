import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Hub, type Watch } from "../../src/hub/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import { parseSelection } from "../../src/protocol/index.js";
import { RecordingSink } from "./recording-sink.js";
import { until } from "./until.js";

function makeHub() {
  const errors: unknown[] = [];
  const hub = new Hub({ log: createMemoryLog(), heartbeatMs: 0, onError: (error) => errors.push(error) });
  const runs: Watch[] = [];
  const note = (watch: Watch) => void runs.push(watch);
  const watch = (...channels: string[]) => {
    const subscriber = hub.connect({ selection: parseSelection(channels) }, () => new RecordingSink());
    return { subscriber, leave: () => hub.disconnect(subscriber) };
  };
  /** The channels that are produced for. */
  const active = () => runs.filter(({ signal }) => !signal.aborted).map(({ channel }) => channel);
  return { hub, errors, runs, note, watch, active };
}

test("runs from the first watcher to the last, whoever they are", async () => {
  const { hub, runs, note, watch, active } = makeHub();
  hub.whileWatched("a", note, { lingerMs: 0 });
  watch("b", "a/*");
  await nextTurn();
  expect(runs).toEqual([]);
  const [first, second, wide] = [watch("a"), watch("a", "b"), watch("*")];
  await nextTurn();
  expect(runs.map(({ channel }) => channel)).toEqual(["a"]);
  first.leave();
  second.leave();
  await nextTurn();
  expect(active()).toEqual(["a"]);
  wide.leave();
  await nextTurn();
  expect(active()).toEqual([]);
  const reader = hub.subscribe({ channels: ["a"] })[Symbol.asyncIterator]();
  void reader.next();
  await nextTurn();
  expect(active()).toEqual(["a"]);
  await reader.return?.();
  await nextTurn();
  expect(active()).toEqual([]);
  expect(runs).toHaveLength(2);
  await hub.close();
});

test("runs at once for those who are there already; a connection that was there for a moment starts none", async () => {
  const { hub, runs, note, watch, active } = makeHub();
  watch("p/a");
  watch("a", "p/b/c");
  hub.whileWatched("a", note);
  hub.whileWatched("p/*", note);
  watch("p/d").leave();
  await nextTurn();
  expect(active().sort()).toEqual(["a", "p/a", "p/b/c"]);
  expect(runs).toHaveLength(3);
  await hub.close();
});

test("a prefix has a run for each channel below it that is named", async () => {
  const { hub, note, watch, active } = makeHub();
  hub.whileWatched("p/*", note, { lingerMs: 0 });
  hub.whileWatched("*", ({ channel, signal }) => note({ channel: `* ${channel}`, signal }), { lingerMs: 0 });
  const [one, two] = [watch("p/a", "p/b", "p"), watch("p/b")];
  watch("p/*", "*"); // names none
  await nextTurn();
  expect(active().sort()).toEqual(["* p", "* p/a", "* p/b", "p/a", "p/b"]);
  one.leave();
  await nextTurn();
  expect(active().sort()).toEqual(["* p/b", "p/b"]);
  hub.changeChannels(two.subscriber, { add: ["p/c"], drop: ["p/b"] });
  await nextTurn();
  expect(active().sort()).toEqual(["* p/c", "p/c"]);
  await hub.close();
});

test("a change of channels that goes on watching does not disturb it", async () => {
  const { hub, runs, note, watch, active } = makeHub();
  hub.whileWatched("a", note, { lingerMs: 0 });
  const { subscriber } = watch("a");
  await nextTurn();
  hub.changeChannels(subscriber, { add: ["b"] });
  hub.changeChannels(subscriber, { add: ["*"] });
  await nextTurn();
  expect(runs).toHaveLength(1);
  expect(active()).toEqual(["a"]);
  await hub.close();
});

test("lingers for those who come back", async () => {
  const { hub, runs, note, watch, active } = makeHub();
  hub.whileWatched("a", note, { lingerMs: 100 });
  for (let n = 0; n < 3; n++) {
    const { leave } = watch("a");
    await nextTurn();
    leave();
    await sleep(20);
  }
  expect(runs).toHaveLength(1);
  expect(active()).toEqual(["a"]);
  const { leave } = watch("a");
  await sleep(150);
  expect(active()).toEqual(["a"]); // the time that had begun is forgotten
  leave();
  await until(() => active().length === 0);
  watch("a");
  await until(() => runs.length === 2);
  await hub.close();
});

test("does not keep the process alive to linger", async () => {
  const { hub, note, watch, active } = makeHub();
  hub.whileWatched("a", note);
  const { leave } = watch("a");
  await nextTurn();
  const timers = () => process.getActiveResourcesInfo().filter((what) => what === "Timeout").length;
  const before = timers();
  leave();
  await nextTurn();
  expect(timers()).toBe(before);
  expect(active()).toEqual(["a"]);
  await hub.close();
});

test("one that fails is told, and is called again when watchers have gone and come", async () => {
  const { hub, errors, runs, note, watch } = makeHub();
  hub.whileWatched("sync", (run) => {
    note(run);
    throw new Error("sync");
  });
  hub.whileWatched("async", async (run) => {
    note(run);
    await nextTurn();
    throw new Error("async");
  });
  const one = watch("sync", "async");
  await until(() => errors.length === 2);
  expect(runs.every(({ signal }) => signal.aborted)).toBe(true); // what it had set up is to go
  const two = watch("sync", "async", "other");
  for (let turn = 0; turn < 50; turn++) await nextTurn();
  expect(runs).toHaveLength(2);
  one.leave();
  two.leave();
  await nextTurn();
  watch("sync", "async");
  await until(() => errors.length === 4);
  expect(errors.map((error) => (error as Error).message)).toEqual(["sync", "async", "sync", "async"]);
  expect(runs).toHaveLength(4);
  await hub.close();
});

test("two runs of a channel never overlap", async () => {
  const { hub, errors, watch } = makeHub();
  let running = 0;
  let started = 0;
  hub.whileWatched(
    "a",
    async ({ signal }) => {
      started++;
      expect(++running).toBe(1);
      await sleep(60_000, undefined, { signal, ref: false }).catch(() => {});
      for (let turn = 0; turn < 20; turn++) await nextTurn(); // it tidies up
      running--;
      signal.throwIfAborted(); // says that it was told to stop: no failure
    },
    { lingerMs: 0 },
  );
  for (let n = 0; n < 4; n++) {
    const { leave } = watch("a");
    await nextTurn();
    leave();
    await nextTurn();
  }
  watch("a");
  await until(() => started === 2 && running === 1);
  expect(errors).toEqual([]);
  await hub.close();
});

test("ends by its own function, and with the hub", async () => {
  const { hub, runs, note, watch, active } = makeHub();
  const [one, two] = [hub.whileWatched("a", note), hub.whileWatched("p/*", note)];
  watch("a", "p/b");
  await nextTurn();
  one();
  one();
  expect(active()).toEqual(["p/b"]);
  watch("a", "p/b", "p/c");
  await nextTurn();
  expect(active()).toEqual(["p/b", "p/c"]);
  const closed = hub.close();
  expect(active()).toEqual([]);
  const ended = runs.length;
  hub.whileWatched("a", note);
  two();
  await closed;
  await nextTurn();
  expect(runs).toHaveLength(ended);
});

test("says at once what is wrong", async () => {
  const { hub, note } = makeHub();
  for (const pattern of ["", "a*", "@user/ann", "@all", "a\n"]) {
    expect(() => hub.whileWatched(pattern, note)).toThrow(expect.objectContaining({ code: "invalid_channel" }));
  }
  for (const lingerMs of [-1, Number.NaN, Infinity, "5" as unknown as number]) {
    expect(() => hub.whileWatched("a", note, { lingerMs })).toThrow(
      expect.objectContaining({ code: "invalid_option" }),
    );
  }
  for (const most of [0, -1, Number.NaN, "5" as unknown as number]) {
    expect(() => hub.whileWatched("a", note, { most })).toThrow(expect.objectContaining({ code: "invalid_option" }));
  }
  const misspelt = { lingerMS: 5 } as object;
  expect(() => hub.whileWatched("a", note, misspelt)).toThrow(expect.objectContaining({ code: "invalid_option" }));
  for (const run of [undefined, "run", {}] as unknown as (() => void)[]) {
    expect(() => hub.whileWatched("a", run)).toThrow(/whileWatched.*function/);
    await expect(hub.run("a", run)).rejects.toMatchObject({
      ...{ code: "invalid_option", message: expect.stringMatching(/run.*function/) },
    });
  }
  await hub.close();
});

test("runs no more than `most` at a time, tells it once, and goes on with those that wait", async () => {
  const { hub, errors, note, watch, active } = makeHub();
  hub.whileWatched("p/*", note, { lingerMs: 0, most: 3 });
  const first = watch("p/0", "p/1");
  const second = watch(...Array.from({ length: 8 }, (_, n) => `p/${n + 2}`));
  await nextTurn();
  expect(active()).toHaveLength(3);
  const third = watch("p/x");
  await nextTurn();
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatchObject({ code: "invalid_option", message: expect.stringMatching(/p\/\*.*3.*most/s) });
  third.leave();
  await nextTurn();
  first.leave();
  await nextTurn();
  expect(active()).toHaveLength(3); // two of those that waited, not the one that nobody watches any more
  expect(active().every((channel) => /^p\/[2-9]$/.test(channel))).toBe(true);
  second.leave();
  await nextTurn();
  expect(active()).toEqual([]);
  expect(errors).toHaveLength(1);
  watch("p/a", "p/b", "p/c");
  await nextTurn();
  expect(active()).toHaveLength(3);
  watch("p/d");
  await nextTurn();
  expect(errors).toHaveLength(2);
  await hub.close();
  expect(active()).toEqual([]);
});

test("a run that waits for room begins when another has failed, or has tidied up", async () => {
  const { hub, errors, watch } = makeHub();
  const began: string[] = [];
  let running = 0;
  const { leave } = watch("p/a");
  hub.whileWatched(
    "p/*",
    async ({ channel, signal }) => {
      expect(++running).toBe(1);
      began.push(channel);
      await sleep(60_000, undefined, { signal, ref: false }).catch(() => {});
      for (let turn = 0; turn < 5; turn++) await nextTurn();
      running--;
    },
    { lingerMs: 0, most: 1 },
  );
  hub.whileWatched(
    "q/*",
    ({ channel }) => {
      began.push(channel);
      if (channel === "q/a") throw new Error("broken");
    },
    { most: 1 },
  );
  await nextTurn();
  watch("p/b", "q/a", "q/b");
  await nextTurn();
  leave();
  await until(() => began.length === 4);
  expect(began).toEqual(["p/a", "q/a", "q/b", "p/b"]);
  expect(errors.map((error) => (error as Error).message)).toContain("broken");
  await hub.close();
});

test("a generator runs nothing, and is told", async () => {
  const { hub, errors, watch } = makeHub();
  const wrong = [
    async function* () {
      yield 1;
    },
    function* () {
      yield 1;
    },
    async () => (async function* () {})(),
  ];
  for (const run of wrong) hub.whileWatched("a", run as unknown as () => void);
  watch("a");
  await until(() => errors.length === 3);
  for (const error of errors) {
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toMatch(/whileWatched.*"a".*generator.*hub\.publish/);
  }
  await hub.close();
});
