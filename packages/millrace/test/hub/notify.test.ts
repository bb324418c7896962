import { expect, test } from "vitest";
import { Hub } from "../../src/hub/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import { type AddressedEvent, checkEvent, parseSelection } from "../../src/protocol/index.js";
import { RecordingSink } from "./recording-sink.js";
import { slowLog } from "./slow-log.js";
import { until } from "./until.js";

const makeHub = () => new Hub({ log: createMemoryLog(), heartbeatMs: 0 });
const data = (sink: RecordingSink) => sink.events.map((event) => event.data);

function connect(hub: Hub, options: Partial<Parameters<Hub["connect"]>[0]> = {}) {
  const sink = new RecordingSink();
  const subscriber = hub.connect({ selection: parseSelection(["a"]), ...options }, () => sink);
  return { sink, subscriber };
}

test("a broadcast reaches every connection in the order of the log, whatever it reads", async () => {
  const hub = makeHub();
  const sinks = [["a"], ["b", "c/*"], ["*"], []].map(
    (channels) => connect(hub, { selection: parseSelection(channels) }).sink,
  );
  await hub.publish({ channel: "a", data: "1" });
  await hub.broadcast({ event: "notice", data: { n: 2 } });
  await hub.publish({ channel: "a", data: "3" });
  await until(() => sinks.every((sink) => sink.events.length === (data(sink).includes("1") ? 3 : 1)));
  expect(sinks.map(data)).toEqual([["1", '{"n":2}', "3"], ['{"n":2}'], ["1", '{"n":2}', "3"], ['{"n":2}']]);
  expect(sinks[3]?.events[0]).toMatchObject({ type: "notice", channel: "@all" });
  await hub.close();
});

test("who comes back is replayed a broadcast; who comes for the first time is given none from before", async () => {
  const hub = makeHub();
  const start = hub.position();
  await hub.broadcast({ data: "old" });
  await hub.publish({ channel: "a", data: "1" });
  const id = await hub.publish({ channel: "a", data: "2" });
  await hub.broadcast({ data: "missed" });
  const back = connect(hub, { lastEventId: id }).sink;
  const whole = connect(hub, { lastEventId: start, rewind: 1 }).sink;
  const two = connect(hub, { rewind: 2 }).sink;
  const all = connect(hub, { rewind: "all" }).sink;
  const none = connect(hub, { selection: parseSelection(["b"]), rewind: "all" }).sink;
  const now = connect(hub, { rewind: 0 }).sink;
  // Committed while those who are rewound read on: this one is for everybody.
  await hub.broadcast({ data: "new" });
  await hub.publish({ channel: "a", data: "3" });
  await until(() => [back, whole, two, all, now].every((sink) => data(sink).includes("3")) && none.events.length > 0);
  expect(data(back)).toEqual(["missed", "new", "3"]);
  expect(data(whole)).toEqual(["old", "1", "2", "missed", "new", "3"]);
  expect(data(two)).toEqual(["1", "2", "new", "3"]);
  expect(data(all)).toEqual(["1", "2", "new", "3"]);
  expect(data(none)).toEqual(["new"]);
  expect(data(now)).toEqual(["new", "3"]);
  await hub.close();
});

test("old broadcasts stay out for a stream that is slow, held to a rate, or given other channels", async () => {
  const hub = new Hub({ log: createMemoryLog(), heartbeatMs: 0, streamRate: 20 });
  for (let n = 0; n < 15; n++) {
    await hub.publish([
      { channel: "a", data: `a${n}` },
      { channel: "b", data: `b${n}` },
    ]);
    await hub.broadcast({ data: "old" });
  }
  const { sink, subscriber } = connect(hub, { rewind: "all" });
  sink.stalled = true;
  await until(() => subscriber.state === "full");
  hub.changeChannels(subscriber, { add: ["c"] });
  await hub.broadcast({ data: "new" });
  sink.drain();
  await until(() => sink.events.length === 16);
  const changed = connect(hub, { rewind: "all" });
  hub.changeChannels(changed.subscriber, { add: ["b"] }); // while it reads
  await hub.broadcast({ data: "newer" });
  await until(() => data(changed.sink).includes("newer") && data(sink).includes("newer"));
  const names = (letter: string) => Array.from({ length: 15 }, (_, n) => `${letter}${n}`);
  expect(data(sink)).toEqual([...names("a"), "new", "newer"]);
  expect(data(changed.sink)).toEqual([...names("a").flatMap((a, n) => [a, `b${n}`]), "newer"]);
  await hub.close();
});

test("only the program broadcasts, and nobody selects it", async () => {
  const hub = makeHub();
  await expect(hub.publish({ channel: "@all", data: 1 })).rejects.toMatchObject({ code: "invalid_channel" });
  expect(() => parseSelection(["@all"])).toThrow(expect.objectContaining({ code: "invalid_channel" }));
  await hub.broadcast({ data: 1 });
  const events = hub.subscribe({ channels: ["*"], rewind: "all" })[Symbol.asyncIterator]();
  await hub.publish({ channel: "a", data: 2 });
  expect((await events.next()).value).toMatchObject({ data: 2 });
  await hub.close();
});

test("to a connection: true when it is there, else false and nothing stored", async () => {
  const hub = makeHub();
  const [one, other] = [connect(hub), connect(hub)];
  expect(await hub.sendToConnection(one.subscriber.id, { data: "mine" })).toBe(true);
  await until(() => one.sink.events.length === 1);
  expect(one.sink.events[0]).toMatchObject({ data: "mine", channel: `@connection/${one.subscriber.id}` });
  hub.disconnect(one.subscriber);
  const { tail } = hub.log;
  for (const id of [one.subscriber.id, "", "nobody", "__proto__"]) {
    expect(await hub.sendToConnection(id, { data: "late" })).toBe(false);
  }
  expect(hub.log.tail).toBe(tail);
  expect(other.sink.events).toEqual([]);
  await hub.close();
});

test("to a connection that goes while it is found out what runs there are: false", async () => {
  const log = createMemoryLog();
  await log.append([checkEvent({ data: 1 })]);
  const hub = new Hub({ log: slowLog(log, () => 5), heartbeatMs: 0 });
  const { subscriber } = connect(hub);
  const { tail } = log;
  const sent = hub.sendToConnection(subscriber.id, { data: 1 });
  hub.disconnect(subscriber);
  expect(await sent).toBe(false);
  expect(log.tail).toBe(tail);
  await hub.close();
});

test("to a user: all connections, and who is not there is replayed it", async () => {
  const hub = makeHub();
  const sinks = ["ann", "ann", "bob"].map((user) => connect(hub, { identity: { user } }).sink);
  const id = await hub.sendToUser("ann", { event: "success", data: "1" });
  await until(() => sinks[0]?.events.length === 1 && sinks[1]?.events.length === 1);
  expect(sinks[2]?.events).toEqual([]);
  await hub.sendToUser("cid", { data: "2" });
  const late = connect(hub, { identity: { user: "cid" }, lastEventId: id }).sink;
  await until(() => late.events.length === 1);
  expect(data(late)).toEqual(["2"]);
  await hub.close();
});

test("to a role: those who hold it", async () => {
  const hub = makeHub();
  const [admin, guest] = [connect(hub, { identity: { user: "ann", roles: ["admin"] } }).sink, connect(hub).sink];
  await hub.sendToRole("admin", { data: "1" });
  await hub.publish({ channel: "a", data: "2" });
  await until(() => admin.events.length === 2 && guest.events.length === 1);
  expect([data(admin), data(guest)]).toEqual([["1", "2"], ["2"]]);
  await hub.close();
});

test("a repeat with the same key adds nothing", async () => {
  const hub = makeHub();
  const first = await hub.sendToUser("ann", { data: 1 }, { idempotencyKey: "k" });
  expect(await hub.sendToUser("ann", { data: 1 }, { idempotencyKey: "k" })).toBe(first);
  await expect(hub.sendToUser("bob", { data: 1 }, { idempotencyKey: "k" })).rejects.toMatchObject({
    code: "idempotency_conflict",
  });
  expect(hub.log.tail).toBe(1);
  await hub.close();
});

test.each([
  ["", "not empty"],
  ["a*b", 'holds \\"\\*\\"|holds "\\*"'],
  ["a\nb", "CR, LF or NUL"],
  ["x".repeat(300), "bytes"],
  ["\ud800", "Unicode"],
  [7 as unknown as string, "string"],
])("a user or role %j cannot be sent to, and is told why", async (name, why) => {
  const hub = makeHub();
  for (const sent of [hub.sendToUser(name, { data: 1 }), hub.sendToRole(name, { data: 1 })]) {
    await expect(sent).rejects.toMatchObject({
      code: "invalid_channel",
      message: expect.stringMatching(new RegExp(`(user|role).*(${why})`, "s")),
    });
  }
  expect(hub.log.tail).toBe(0);
  await hub.close();
});

test("an event that is sent to somebody names no channel, and is checked like any other", async () => {
  const hub = makeHub();
  const { subscriber } = connect(hub);
  const wrong = [{ channel: "b", data: 1 }, { data: undefined }, { event: "millrace.x", data: 1 }, null, "text"];
  for (const event of wrong as AddressedEvent[]) {
    for (const sent of [
      hub.broadcast(event),
      hub.sendToUser("ann", event),
      hub.sendToRole("r", event),
      hub.sendToConnection(subscriber.id, event),
    ]) {
      await expect(sent).rejects.toMatchObject({ code: "invalid_event" });
    }
  }
  expect(hub.log.tail).toBe(0);
  await hub.close();
});
