import { expect, test } from "vitest";
import { Hub } from "../../src/hub/index.js";
import { createMemoryLog, type Log } from "../../src/log/index.js";
import { parseSelection } from "../../src/protocol/index.js";
import { RecordingSink } from "./recording-sink.js";
import { slowLog } from "./slow-log.js";
import { until } from "./until.js";

/** The same log, and how often it is read. */
function counted(log: Log): { log: Log; reads: () => number } {
  let reads = 0;
  const proxy = new Proxy(log, {
    get: (target, name) => {
      if (name === "read") reads++;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { log: proxy, reads: () => reads };
}

const datas = ({ events }: RecordingSink) => events.filter(({ type }) => type === "message").map(({ data }) => data);

test.each([
  ["memory", 0],
  ["a store that takes its time", 3],
])("those who come back together share reads of %s, each gets just what it has missed", async (_, turns) => {
  const { log, reads } = counted(slowLog(createMemoryLog(), () => turns));
  const hub = new Hub({ log, heartbeatMs: 0 });
  // About three batches of 64 KiB.
  const ids = await hub.publish(
    Array.from({ length: 200 }, (_, n) => ({ channel: n % 3 ? "a" : "b", data: `${n}`.padEnd(1000, ".") })),
  );
  await hub.sendToUser("ann", { data: "hello, ann" });
  const expected = (from: number) => ids.slice(from).map((_, at) => `${from + at}`.padEnd(1000, "."));
  const selection = parseSelection(["a", "b"]);
  const connect = (from: number, user?: string) => {
    const sink = new RecordingSink();
    const identity = user === undefined ? {} : { user };
    hub.connect({ selection, identity, lastEventId: ids[from - 1] as string }, () => sink);
    return sink;
  };
  const before = reads();
  const herd = Array.from({ length: 500 }, (_, n) => ({ from: 1 + (n % 50), sink: connect(1 + (n % 50)) }));
  const ann = connect(10, "ann");
  await until(() => herd.every(({ sink }) => sink.lastEventId === ids.at(-1)) && ann.lastEventId === hub.position());
  for (const { from, sink } of herd) expect(datas(sink)).toEqual(expected(from));
  expect(datas(ann)).toEqual([...expected(10), "hello, ann"]);
  // One by one they would be about 2,000; a turn that takes long cuts the herd in parts.
  expect(reads() - before).toBeLessThan(100);
  await hub.close();
});

test("a gap is said to each of those who share a read", async () => {
  const { log, reads } = counted(createMemoryLog({ retention: { events: 50 } }));
  const hub = new Hub({ log, heartbeatMs: 0 });
  const ids = await hub.publish(Array.from({ length: 100 }, (_, n) => ({ channel: "a", data: `${n}` })));
  const before = reads();
  const herd = Array.from({ length: 40 }, (_, n) => {
    const lost = n % 2 === 0;
    const sink = new RecordingSink();
    const lastEventId = ids[lost ? 9 : 60] as string;
    hub.connect({ selection: parseSelection(["a"]), lastEventId }, () => sink);
    return { lost, sink };
  });
  await until(() => herd.every(({ sink }) => sink.lastEventId === ids.at(-1)));
  for (const { lost, sink } of herd) {
    expect(sink.events.filter(({ type }) => type === "millrace.gap")).toHaveLength(lost ? 1 : 0);
    expect(datas(sink)).toEqual(ids.map((_, n) => `${n}`).slice(lost ? 50 : 61));
  }
  expect(reads() - before).toBeLessThan(10);
  await hub.close();
});

// A log that learns its keys first reads up to a later tail: what had become personal meanwhile was passed over for good.
test("what is sent to one alone while its group's is read reaches it", async () => {
  const log = createMemoryLog();
  const late = new Proxy(log, {
    get: (target, name) => {
      if (name === "read") {
        return async (request: Parameters<Log["read"]>[0]) => {
          for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
          return log.read(request);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const hub = new Hub({ log: late, heartbeatMs: 0 });
  await hub.publish([{ channel: "a", data: "1" }]);
  const sink = new RecordingSink();
  hub.connect({ selection: parseSelection(["a"]), identity: { user: "ann" }, rewind: "all" }, () => sink);
  await new Promise((resolve) => setImmediate(resolve));
  await hub.sendToUser("ann", { data: "2" });
  await hub.publish({ channel: "a", data: "3" });
  await until(() => sink.lastEventId === hub.position());
  expect(datas(sink)).toEqual(["1", "2", "3"]);
  await hub.close();
});
