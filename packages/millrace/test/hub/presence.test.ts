import { expect, test } from "vitest";
import { Hub } from "../../src/hub/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import { parseSelection } from "../../src/protocol/index.js";
import { RecordingSink } from "./recording-sink.js";

function makeHub() {
  const hub = new Hub({ log: createMemoryLog(), heartbeatMs: 0 });
  const connect = (channels: string[], user?: string, roles: string[] = []) =>
    hub.connect(
      { selection: parseSelection(channels), identity: { roles, ...(user === undefined ? {} : { user }) } },
      () => new RecordingSink(),
    ).id;
  return { hub, connect };
}

test("who reads a channel, by its name or by a prefix; who is a user; both", async () => {
  const { hub, connect } = makeHub();
  const a = connect(["a"], "ann");
  const again = connect(["a"], "bob");
  const below = connect(["a/*"], "ann", ["r"]);
  const all = connect(["*"]);
  const ids = (filter?: Parameters<Hub["connections"]>[0]) => [...hub.connections(filter)].map(({ id }) => id);
  expect(ids()).toEqual([a, again, below, all]);
  expect(ids({})).toEqual([a, again, below, all]);
  expect(ids({ channel: "a" })).toEqual([a, again, all]);
  expect(ids({ channel: "a/b" })).toEqual([below, all]);
  expect(ids({ user: "ann" })).toEqual([a, below]);
  expect(ids({ user: "ann", channel: "a" })).toEqual([a]);
  expect(ids({ user: "nobody" })).toEqual([]);
  expect(ids({ channel: "@role/r" })).toEqual([below]);
  expect(ids({ channel: "@user/ann" })).toEqual([a, below]);
  expect(ids({ channel: "@user/ann", user: "bob" })).toEqual([]);
  expect(ids({ channel: `@connection/${all}` })).toEqual([all]);
  expect(ids({ channel: "@all" })).toEqual([a, again, below, all]);
  // Ending them one by one while they are counted misses nobody.
  for (const one of hub.connections({ channel: "a" })) hub.disconnect(one);
  expect(ids()).toEqual([below]);
  await hub.close();
});

test("how many watch a channel, readers inside the program too", async () => {
  const { hub, connect } = makeHub();
  connect(["a"], "ann", ["r"]);
  connect(["a"]);
  connect(["*"]);
  const leave = new AbortController();
  const events = hub.subscribe({ channels: ["a", "b/*"], identity: { user: "ann" }, signal: leave.signal });
  expect(hub.watchers("a")).toBe(3); // it reads once it is asked for events
  const iterator = events[Symbol.asyncIterator]();
  const waiting = iterator.next();
  const counts = () => ["a", "b/c", "c", "@user/ann", "@role/r", "@all", "@user/bob"].map((name) => hub.watchers(name));
  expect(counts()).toEqual([4, 2, 1, 2, 1, 3, 0]);
  leave.abort();
  expect(counts()).toEqual([3, 1, 1, 1, 1, 3, 0]);
  await waiting;
  await iterator.return?.();
  expect(hub.watchers("a")).toBe(3);
  await hub.close();
});

test.each(["loop is left", "signal fires while it works on an event", "loop throws"])(
  "a reader is counted until its %s",
  async (how) => {
    const { hub } = makeHub();
    const stop = new AbortController();
    await hub.publish({ channel: "a", data: 1 });
    const other = hub.subscribe({ channels: ["a"] })[Symbol.asyncIterator]();
    void other.next();
    const read = async () => {
      for await (const _ of hub.subscribe({ channels: ["a"], rewind: "all", signal: stop.signal })) {
        expect(hub.watchers("a")).toBe(2);
        if (how === "loop throws") throw new Error("the application's");
        if (how === "loop is left") break;
        stop.abort();
        expect(hub.watchers("a")).toBe(1);
      }
    };
    await read().catch(() => {});
    expect(hub.watchers("a")).toBe(1);
    await other.return?.();
    expect(hub.watchers("a")).toBe(0);
    await hub.close();
  },
);

test("a name that no channel can have is an error, and not nobody", async () => {
  const { hub } = makeHub();
  for (const channel of ["", "a/*", "*", "@nobody", "a\n"]) {
    expect(() => hub.watchers(channel)).toThrow(expect.objectContaining({ code: "invalid_channel" }));
    expect(() => hub.connections({ channel })).toThrow(expect.objectContaining({ code: "invalid_channel" }));
  }
  await hub.close();
});
