import { expect, test } from "vitest";
import { Hub, type HubOptions } from "../../src/hub/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import { parsePosition, parseSelection } from "../../src/protocol/index.js";
import { RecordingSink } from "./recording-sink.js";
import { until } from "./until.js";

const all = parseSelection(["*"]);
const makeHub = (options: Partial<HubOptions> = {}) => new Hub({ log: createMemoryLog(), heartbeatMs: 0, ...options });
const data = (sink: RecordingSink) => sink.events.map((event) => event.data);
const sequence = (id: string) => parsePosition(id)?.sequence;

test("ending a connection as it opens takes nothing from others with the same selection", async () => {
  let kick = false;
  const hub: Hub = makeHub({
    onConnection: (connection, what) => {
      const subscriber = hub.connection(connection.id);
      if (kick && what === "open" && subscriber) hub.disconnect(subscriber);
    },
  });
  const stays = new RecordingSink();
  hub.connect({ selection: all }, () => stays);
  kick = true;
  const kicked = new RecordingSink();
  hub.connect({ selection: all }, () => kicked);
  expect(kicked.ended).toBe(true);
  expect(hub.stats()).toMatchObject({ connections: 1, groups: 1 });
  await hub.publish({ data: "after" });
  await until(() => stays.events.length === 1);
  await hub.close();
});

test("a connection that was ended is not there, even while its peer takes its time", async () => {
  const hub = makeHub();
  const sink = new RecordingSink();
  sink.lingers = true;
  const { id } = hub.connect({ selection: all, identity: { user: "u" } }, () => sink);
  hub.disconnect(hub.connection(id) as NonNullable<ReturnType<Hub["connection"]>>);
  expect(hub.connection(id)).toBeUndefined();
  expect([...hub.connectionsOf("u")]).toEqual([]);
  await expect(hub.publish({ channel: `@connection/${id}`, data: 1 })).rejects.toMatchObject({
    code: "connection_gone",
  });
  const closed = hub.close({ drainMs: 50 });
  expect(hub.close()).toBe(closed);
  await closed; // cut after the drain
  expect(sink.closed).toBe(true);
});

test("what the application's callbacks throw is told, and changes nothing", async () => {
  const errors: unknown[] = [];
  const fail = () => {
    throw new Error("the application's");
  };
  const hub = makeHub({ onConnection: fail, onPublish: fail, onError: (error) => errors.push(error) });
  const sink = new RecordingSink();
  hub.connect({ selection: all }, () => sink);
  await hub.publish({ data: "fine" });
  await until(() => sink.events.length === 1);
  sink.destroy();
  expect(errors).toHaveLength(3);
  await hub.close();
});

test("a repeated publish is counted and told once", async () => {
  const told: string[] = [];
  const hub = makeHub({ onPublish: (_event, id) => told.push(id) });
  const first = await hub.publish({ data: 1 }, { idempotencyKey: "k" });
  expect(await hub.publish({ data: 1 }, { idempotencyKey: "k" })).toBe(first);
  expect(told).toEqual([first]);
  expect(hub.stats().published).toBe(1);
  await hub.close();
});

test("a heartbeat never moves a cursor back, nor ahead of what is on its way", async () => {
  const hub = makeHub({ heartbeatMs: 16, turn: { writingMs: -1, writesPerLook: 1 } });
  const sinks: RecordingSink[] = [];
  const connect = (channel: string, options: { user?: string; rewind?: number } = {}) => {
    const { user, rewind } = options;
    const sink = new RecordingSink();
    const identity = user === undefined ? {} : { user };
    const selection = parseSelection([channel, `only-${sinks.length}`]); // a group of its own
    hub.connect({ selection, identity, ...(rewind === undefined ? {} : { rewind }) }, () => sink);
    sinks.push(sink);
  };
  for (let n = 0; n < 30; n++) connect("busy");
  for (let n = 0; n < 30; n++) connect("quiet", { user: `u${n}` });
  for (let n = 0; n < 60; n++) {
    await hub.publish([
      { channel: "busy", data: n },
      ...Array.from({ length: 30 }, (_, u) => ({ channel: `@user/u${u}`, data: n })),
    ]);
    connect("busy", { rewind: 1 });
  }
  await until(() => sinks.every((sink) => sink.text.includes("keepalive")));
  for (const { text } of sinks) {
    const ids = [...text.matchAll(/^id: (\S+)$/gm)].map(([, id]) => sequence(id as string) as number);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
  }
  await hub.close({ drainMs: 0 });
});

test("a lost position stays lost until its gap is said", async () => {
  const hub = makeHub();
  await hub.publish({ data: "old" });
  const sink = new RecordingSink();
  const { id } = hub.connect({ selection: all, lastEventId: "elsewhere-7" }, () => sink);
  expect(sink.lastEventId).toBe("");
  hub.disconnect(hub.connection(id) as NonNullable<ReturnType<Hub["connection"]>>);
  expect(sink.events.map(({ type }) => type)).toEqual(["millrace.close"]);
  expect(sink.lastEventId).toBe("");
  const back = new RecordingSink();
  hub.connect({ selection: all, lastEventId: "elsewhere-7" }, () => back);
  await until(() => back.events.length === 2);
  expect(back.events.map(({ type }) => type)).toEqual(["millrace.gap", "message"]);
  await hub.close();
});

test("a rewind counts what the subscriber reads, roles and personal channels too", async () => {
  const hub = makeHub();
  for (let n = 0; n < 3; n++)
    await hub.publish([
      { channel: "a", data: n },
      { channel: "@role/r", data: `r${n}` },
      { channel: "@user/u", data: `u${n}` },
    ]);
  const sink = new RecordingSink();
  hub.connect({ selection: parseSelection(["a"]), identity: { user: "u", roles: ["r"] }, rewind: 4 }, () => sink);
  await until(() => sink.events.length >= 4);
  expect(data(sink)).toEqual(["u1", "2", "r2", "u2"]);
  await hub.close();
});

test("a stream that is over its rate waits for it and for its client, and hears heartbeats meanwhile", async () => {
  const hub = makeHub({ streamRate: 100, heartbeatMs: 32 });
  const [paced, stuck] = [new RecordingSink(), new RecordingSink()];
  hub.connect({ selection: all }, () => paced);
  hub.connect({ selection: all }, () => stuck);
  stuck.stalled = true;
  await hub.publish(Array.from({ length: 150 }, (_, n) => ({ data: n })));
  await until(() => paced.events.length === 100);
  await hub.publish(Array.from({ length: 50 }, (_, n) => ({ data: n + 150 })));
  await until(() => paced.events.length === 200);
  expect(data(paced)).toEqual(Array.from({ length: 200 }, (_, n) => `${n}`));
  expect(paced.text).toContain("keepalive");
  expect(hub.stats().paced).toBeGreaterThan(0);
  expect(stuck.events).toHaveLength(100); // what it may be sent at once
  stuck.drain();
  await until(() => stuck.events.length === 200);
  await hub.close();
});

test("a client that takes nothing is cut after stallMs, heartbeats or not", async () => {
  const hub = makeHub({ stallMs: 100 });
  const [reads, stuck] = [new RecordingSink(), new RecordingSink()];
  hub.connect({ selection: all }, () => reads);
  hub.connect({ selection: all }, () => stuck);
  stuck.stalled = true;
  await hub.publish({ data: 1 });
  await until(() => stuck.closed);
  expect(reads.closed).toBe(false);
  await hub.close();
});

test("personal entries come in the order of the log, in turns that are cut", async () => {
  const hub = makeHub({ turn: { writingMs: -1, writesPerLook: 1 } });
  const sinks = Array.from({ length: 20 }, (_, at) => {
    const sink = new RecordingSink();
    hub.connect({ selection: parseSelection(["a"]), identity: { user: `u${at}` } }, () => sink);
    return sink;
  });
  const events = sinks.flatMap((_, at) => [
    { channel: "a", data: `a${at}` },
    { channel: `@user/u${at}`, data: "mine" },
  ]);
  await hub.publish(events);
  await until(() => sinks.every(({ events: got }) => got.length === 21));
  for (const [at, sink] of sinks.entries()) expect(data(sink).indexOf("mine")).toBe(at + 1);
  await hub.close();
});

test("a connection as JSON is what people may see of it, and nothing from inside", async () => {
  const hub = makeHub();
  await hub.publish({ data: 1 });
  const identity = { user: "u", roles: ["r"], token: "secret" };
  const options = { selection: parseSelection(["b/*", "a"]), identity, remoteAddress: "::1" };
  const { id, openedAtMs } = hub.connect(options, () => new RecordingSink());
  hub.connect({ selection: all }, () => new RecordingSink());
  const [known, stranger] = JSON.parse(JSON.stringify([...hub.connections()]));
  expect(known).toEqual({
    ...{ id, user: "u", roles: ["r"], channels: ["a", "b/*"], format: "event", transport: "recording", state: "live" },
    ...{ position: hub.position(), openedAt: new Date(openedAtMs).toISOString(), remoteAddress: "::1" },
  });
  expect(stranger).toMatchObject({ user: null, roles: [], remoteAddress: null });
  await hub.close();
});

test("options of a publish that are not known are said, and nothing is published", async () => {
  const hub = makeHub();
  for (const wrong of [{ idempotencykey: "k" }, { idempotencyKey: 7 }, { idempotencyKey: null }, null, "k", 7, ["k"]]) {
    for (const sent of [
      hub.publish({ data: 1 }, wrong as never),
      hub.broadcast({ data: 1 }, wrong as never),
      hub.sendToUser("u", { data: 1 }, wrong as never),
    ]) {
      await expect(sent, JSON.stringify(wrong)).rejects.toMatchObject({
        code: "invalid_option",
        message: expect.stringContaining("idempotencyKey"),
      });
    }
  }
  expect(hub.log.tail).toBe(0);
  await hub.publish({ data: 1 }, {});
  await hub.close();
});
