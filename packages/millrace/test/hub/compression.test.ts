import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { Compressor } from "../../src/hub/compressor.js";
import { type ConnectOptions, Hub, type HubOptions } from "../../src/hub/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import { parseSelection } from "../../src/protocol/index.js";
import { ticks } from "../ticks.js";
import { InflatingSink } from "./inflating-sink.js";
import { RecordingSink } from "./recording-sink.js";
import { until } from "./until.js";

const hubs: Hub[] = [];
const errors: unknown[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(hubs.splice(0).map((hub) => hub.close({ drainMs: 0 })));
  expect(errors.splice(0)).toEqual([]);
});

function makeHub(options: Partial<HubOptions> = {}): Hub {
  const hub = new Hub({ log: createMemoryLog(), heartbeatMs: 0, onError: (error) => errors.push(error), ...options });
  hubs.push(hub);
  return hub;
}

function join(hub: Hub, options: Partial<ConnectOptions> = {}) {
  const sink = options.gzip === false ? new RecordingSink() : new InflatingSink();
  const subscriber = hub.connect({ selection: parseSelection(["a"]), gzip: true, ...options }, () => sink);
  return { sink, subscriber, data: () => sink.events.map((event) => event.data) };
}

/** The clock that a stream begins anew by, set forward. */
function forward(ms: number): void {
  const real = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => real() + ms);
}

/** Bytes that came over the wire, but for the first write. */
const wireBytes = (sink: RecordingSink): number =>
  (sink as InflatingSink).received.slice(1).reduce((sum, { length }) => sum + length, 0);

const big = () => randomBytes(150_000).toString("hex");

test("a group's members are given the same compressed bytes, and others what they were", async () => {
  const hub = makeHub();
  const [one, other] = [join(hub), join(hub)];
  const plain = join(hub, { gzip: false });
  expect(hub.stats().groups).toBe(2);
  const source = ticks();
  for (let n = 0; n < 100; n++) {
    await hub.publish({ channel: "a", data: (source.next().value as Buffer).toString() });
    await until(() => [one, other, plain].every(({ sink }) => sink.events.length === n + 1));
  }
  const written = plain.sink.text.length;
  expect(one.sink.text.slice(-1000)).toBe(plain.sink.text.slice(-1000));
  expect(wireBytes(one.sink)).toBeLessThan(0.3 * written);
  expect(wireBytes(other.sink)).toBe(wireBytes(one.sink));
});

test("one that comes later is served alone, and shares from where the stream begins anew", async () => {
  const hub = makeHub();
  const first = join(hub);
  const text = randomBytes(500).toString("hex");
  const costs = async ({ sink }: { sink: RecordingSink }) => {
    const [events, bytes] = [first.sink.events.length, wireBytes(sink)];
    await hub.publish({ channel: "a", data: text });
    await until(() => first.sink.events.length > events);
    await until(() => wireBytes(sink) > bytes);
    return wireBytes(sink) - bytes;
  };
  const alone = await costs(first);
  expect(await costs(first)).toBeLessThan(alone / 4); // it refers to the one before
  const later = join(hub);
  expect(await costs(later)).toBeGreaterThan(alone / 2);
  expect(await costs(later)).toBeGreaterThan(alone / 2);
  forward(1000);
  await costs(later); // begins anew
  expect(await costs(later)).toBeLessThan(alone / 4);
  expect(await costs(first)).toBeLessThan(alone / 4);
});

test("what is personal comes in its place, and what the group is given goes on", async () => {
  const hub = makeHub();
  const [ann, bob] = [join(hub, { identity: { user: "ann" } }), join(hub, { identity: { user: "bob" } })];
  for (let n = 0; n < 30; n++) {
    const own = n % 3 === 0 ? [{ channel: "@user/ann", data: `for ann ${n}` }] : [];
    await hub.publish([...own, { channel: "a", data: `for all ${n}` }]);
  }
  const shared = Array.from({ length: 30 }, (_, n) => `for all ${n}`);
  await until(() => bob.sink.events.length === 30 && ann.sink.events.length === 40);
  expect(bob.data()).toEqual(shared);
  expect(ann.data()).toEqual(shared.flatMap((text, n) => (n % 3 === 0 ? [`for ann ${n}`, text] : [text])));
});

test("a member that is slow reads what it missed, and what comes then", async () => {
  const hub = makeHub();
  const [slow, fast] = [join(hub), join(hub)];
  const expected: string[] = [];
  const publish = async (data: string) => {
    expected.push(data);
    await hub.publish({ channel: "a", data });
    await until(() => fast.sink.events.length === expected.length);
  };
  for (const text of ["one", "two"]) await publish(text);
  slow.sink.stalled = true;
  for (const text of ["three", big(), big()]) await publish(text);
  expect(slow.sink.events).toHaveLength(3);
  slow.sink.drain();
  forward(1000);
  for (const text of ["six", "seven", "eight"]) await publish(text);
  await until(() => slow.sink.events.length === expected.length);
  expect(slow.data()).toEqual(expected);
});

test("one that changes its channels while another thread compresses misses nothing", async () => {
  const hub = makeHub();
  const [moves, stays] = [join(hub), join(hub)];
  join(hub, { selection: parseSelection(["a", "b"]) });
  await hub.publish({ channel: "a", data: "first" });
  await until(() => stays.sink.events.length === 1);
  for (let n = 0; n < 10; n++) {
    const published = hub.publish([
      { channel: "a", data: `${n} ${big()}` },
      { channel: "b", data: `b ${n}` },
    ]);
    if (n % 2 === 0) await published; // its compression is under way
    hub.changeChannels(moves.subscriber, n % 2 === 0 ? { add: ["b"] } : { drop: ["b"] });
    expect(hub.stats().groups).toBe(2); // it shares with those who read the same
    await published;
  }
  await until(
    () => stays.sink.events.length === 11 && moves.data().filter((text) => !text.startsWith("b")).length === 11,
  );
  expect(moves.data().filter((text) => !text.startsWith("b"))).toEqual(stays.data());
});

test("a stream that is held to a rate gets all, a little later", async () => {
  const hub = makeHub({ streamRate: 20 });
  const { sink, data } = join(hub);
  const texts = Array.from({ length: 40 }, (_, n) => `event ${n}`);
  for (const text of texts) await hub.publish({ channel: "a", data: text });
  await until(() => sink.events.length === texts.length);
  expect(data()).toEqual(texts);
  expect(hub.stats().paced).toBeGreaterThan(0);
});

test("what was dropped is told, and what is there follows", async () => {
  const hub = makeHub({ log: createMemoryLog({ retention: { events: 3 } }) });
  const { sink } = join(hub);
  sink.stalled = true;
  for (let n = 0; n < 10; n++) await hub.publish({ channel: "a", data: `${n} ${"x".repeat(500)}` });
  await until(() => sink.events.length > 0);
  await nextTurn();
  sink.drain();
  await until(() => sink.events.at(-1)?.data.startsWith("9") === true);
  expect(sink.events.map(({ type }) => type)).toContain("millrace.gap");
});

test.each(["disconnected", "left"])("members may go while another thread compresses for them: %s", async (how) => {
  const close = vi.spyOn(Compressor.prototype, "close");
  const hub = makeHub();
  for (let turns = 0; turns < 8; turns++) {
    const [one, other] = [join(hub), join(hub)];
    const plain = join(hub, { gzip: false });
    await hub.publish({ channel: "a", data: big() });
    for (let turn = 0; turn < turns; turn++) await nextTurn();
    for (const { sink, subscriber } of [one, other]) {
      if (how === "left") sink.destroy();
      else expect(hub.disconnect(subscriber, { reason: "go away" })).toBe(true);
      if (how !== "left") expect(sink.events.at(-1)?.data).toBe('{"reason":"go away","reconnect":true}');
    }
    expect(close).toHaveBeenCalledOnce(); // the group was empty
    const late = join(hub);
    await hub.publish({ channel: "a", data: "after" });
    await until(() => [plain, late].every(({ sink }) => sink.events.at(-1)?.data === "after"));
    expect(plain.sink.events).toHaveLength(2);
    expect(late.sink.events).toHaveLength(1);
    late.sink.destroy();
    plain.sink.destroy();
    close.mockClear();
  }
});

test("the hub may close while another thread compresses: everyone is told", async () => {
  for (let turns = 0; turns < 8; turns++) {
    const hub = makeHub();
    const members = [join(hub), join(hub)];
    await hub.publish([
      { channel: "a", data: big() },
      { channel: "a", data: big() },
    ]);
    for (let turn = 0; turn < turns; turn++) await nextTurn();
    await hub.close({ drainMs: 1000 });
    for (const { sink } of members) expect(sink.events.at(-1)?.data).toBe('{"reason":"shutdown","reconnect":true}');
  }
});

test("a finite channel ends its followers behind its last event", async () => {
  const hub = makeHub();
  const { sink, data } = join(hub);
  await hub.run("a", async (run) => {
    for (let n = 0; n < 5; n++) await run.send({ data: `${n}` });
  });
  await until(() => sink.ended);
  expect(data()).toEqual(["0", "1", "2", "3", "4", '{"status":"done"}', '{"reason":"ended","reconnect":false}']);
});

test("a stream that is busy hears no heartbeats, one that is quiet does, and both go on", async () => {
  const hub = makeHub({ heartbeatMs: 1000 });
  const [compressed, plain] = [join(hub), join(hub, { gzip: false })];
  const beats = ({ sink }: { sink: RecordingSink }) => sink.text.split(": keepalive").length - 1;
  let count = 0;
  const publish = async () => {
    await hub.publish({ channel: "a", data: `event ${count++}` });
    await until(() => [compressed, plain].every(({ sink }) => sink.events.length === count));
  };
  while (beats(plain) < 2) {
    await publish();
    await sleep(20);
  }
  expect(beats(compressed)).toBe(0);
  await until(() => beats(compressed) === 1); // at most one and a half times as long
  await publish();
  await publish();
  expect(compressed.sink.text.endsWith(plain.sink.text.slice(-60))).toBe(true);
});

test("there are more groups than may have a compressor: each member gets what it reads", async () => {
  const hub = makeHub();
  const members = Array.from({ length: 300 }, (_, n) => join(hub, { selection: parseSelection(["a", `own/${n}`]) }));
  for (let n = 0; n < 3; n++) {
    await hub.publish([...members.map((_, own) => ({ channel: `own/${own}`, data: n })), { channel: "a", data: n }]);
  }
  await until(() => members.every(({ sink }) => sink.events.length === 6));
  expect(members.every(({ data }) => data().join("") === "001122")).toBe(true);
});

test("a group that was quiet for a minute goes on with another compressor", async () => {
  const close = vi.spyOn(Compressor.prototype, "close");
  const hub = makeHub();
  const { sink, data } = join(hub);
  for (const text of ["one", "two"]) await hub.publish({ channel: "a", data: text });
  await until(() => sink.events.length === 2);
  forward(61_000);
  await until(() => close.mock.calls.length === 1);
  for (const text of ["three", "four"]) await hub.publish({ channel: "a", data: text });
  await until(() => sink.events.length === 4);
  expect(data()).toEqual(["one", "two", "three", "four"]);
});
