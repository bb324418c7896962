import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Hub, type HubOptions, type Identity } from "../../src/hub/index.js";
import type { Subscriber } from "../../src/hub/subscriber.js";
import { createMemoryLog } from "../../src/log/index.js";
import { parsePosition, parseSelection } from "../../src/protocol/index.js";
import { InflatingSink } from "./inflating-sink.js";
import { RecordingSink } from "./recording-sink.js";
import { slowLog } from "./slow-log.js";
import { until } from "./until.js";

const makeHub = (options: Partial<HubOptions> = {}) => new Hub({ log: createMemoryLog(), heartbeatMs: 0, ...options });
const data = (sink: RecordingSink) =>
  sink.events.map((event) => (event.type.startsWith("millrace.") ? event.type : event.data));
const sequenceOf = (id: string): number => parsePosition(id)?.sequence as number;

function connect(hub: Hub, channels: readonly string[], identity: Identity = {}, gzip = false) {
  const sink = gzip ? new InflatingSink() : new RecordingSink();
  const subscriber = hub.connect({ selection: parseSelection(channels), identity, gzip }, () => sink);
  return { sink, subscriber };
}

describe("what is changed", () => {
  test("names and prefixes come and go; what is there already, or is not, is no error", async () => {
    const hub = makeHub();
    const { subscriber } = connect(hub, ["a", "b"], { user: "u", roles: ["r"] });
    const change = (add: string[], drop: string[]) => hub.changeChannels(subscriber, { add, drop }).channels;
    expect(change(["a", "c/*"], ["nothing", "x/*"])).toEqual(["a", "b", "c/*"]);
    expect(change(["c/d"], [])).toEqual(["a", "b", "c/*"]);
    expect(change([], ["a", "c/d"])).toEqual(["b", "c/*"]);
    expect(change(["*"], [])).toEqual(["*"]);
    expect(change([], ["*"])).toEqual([]);
    expect(subscriber.channels).toEqual([]);
    // Of its identity nothing was lost.
    expect(hub.watchers("@role/r")).toBe(1);
    expect(hub.watchers("@user/u")).toBe(1);
    await hub.close();
  });

  test("what is wrong is said, and changes nothing", async () => {
    const hub = makeHub();
    const { subscriber } = connect(hub, ["a"]);
    for (const change of [
      { add: ["x\n"] },
      { drop: ["@user/u"] },
      { add: ["@all"] },
      { add: ["x", "b"], drop: ["b"] },
      { add: "b" as unknown as string[] },
    ]) {
      expect(() => hub.changeChannels(subscriber, change)).toThrow(
        expect.objectContaining({ code: "invalid_channel" }),
      );
    }
    expect(subscriber.channels).toEqual(["a"]);
    hub.disconnect(subscriber);
    expect(() => hub.changeChannels(subscriber, { add: ["b"] })).toThrow(
      expect.objectContaining({ code: "connection_gone" }),
    );
    await hub.close();
  });

  test("an id names a connection, and one that is not there is said", async () => {
    const hub = makeHub();
    const { sink, subscriber } = connect(hub, ["a"]);
    expect(hub.changeChannels(subscriber.id, { add: ["b"] }).channels).toEqual(["a", "b"]);
    expect(() => hub.changeChannels("nobody", { add: ["b"] })).toThrow(
      expect.objectContaining({ code: "connection_gone" }),
    );
    expect(hub.disconnect("nobody")).toBe(false);
    for (const wrong of [undefined, null, {}, { id: 7 }, 7] as unknown as string[]) {
      expect(() => hub.disconnect(wrong)).toThrow(expect.objectContaining({ code: "invalid_option" }));
      expect(() => hub.changeChannels(wrong, {})).toThrow(expect.objectContaining({ code: "invalid_option" }));
    }
    for (const wrong of [{ reconect: false }, { reconnect: "no" }, { reason: 7 }] as object[]) {
      expect(() => hub.disconnect(subscriber, wrong)).toThrow(expect.objectContaining({ code: "invalid_option" }));
    }
    expect(hub.disconnect(subscriber.id, { reconnect: false })).toBe(true);
    expect(JSON.parse(sink.events.at(-1)?.data ?? "")).toMatchObject({ reconnect: false });
    expect(hub.disconnect(subscriber)).toBe(false);
    await hub.close();
  });

  test.each<[string, unknown, string, RegExp]>([
    ["nothing", undefined, "invalid_option", /add.*drop/],
    ["a list", ["b"], "invalid_option", /add.*drop/],
    ["null", null, "invalid_option", /add.*drop/],
    ["a member that is not known", { ad: ["b"] }, "invalid_option", /"ad".*add, drop/],
    ["a number among the channels", { add: [7] }, "invalid_channel", /string/],
    ["a number to drop", { drop: ["a", 7] }, "invalid_channel", /string/],
    ["nothing to add", { add: null }, "invalid_channel", /lists/],
    ["a time that is none", { add: ["b"], expiresAtMs: Number.NaN }, "invalid_option", /expiresAtMs is NaN/],
    ["a time that is text", { add: ["b"], expiresAtMs: "soon" }, "invalid_option", /expiresAtMs/],
  ])("%s is no change, and is told why", async (_what, change, code, message) => {
    const hub = makeHub();
    const { subscriber } = connect(hub, ["a"]);
    expect(() => hub.changeChannels(subscriber, change as never)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
    expect(subscriber.channels).toEqual(["a"]);
    await hub.close();
  });

  test("groups are left and joined: none stays behind", async () => {
    const hub = makeHub();
    const { subscriber } = connect(hub, ["a"]);
    connect(hub, ["a", "b"]);
    expect(hub.stats().groups).toBe(2);
    hub.changeChannels(subscriber, { add: ["b"] });
    expect(hub.stats().groups).toBe(1);
    hub.changeChannels(subscriber, { add: ["a"] });
    expect([...hub.connections({ channel: "b" })]).toHaveLength(2);
    hub.changeChannels(subscriber, { drop: ["b"] });
    expect([...hub.connections({ channel: "b" })]).toHaveLength(1);
    for (const one of hub.connections()) hub.disconnect(one);
    expect(hub.stats().groups).toBe(0);
    await hub.close();
  });

  test("a right that ends brings the end of the stream forward, and never back", async () => {
    const hub = makeHub();
    const { sink, subscriber } = connect(hub, ["a"]);
    hub.changeChannels(subscriber, { drop: ["x"], expiresAtMs: 0 });
    expect(subscriber.endsAtMs).toBe(Infinity);
    hub.changeChannels(subscriber, { add: ["b"], expiresAtMs: Date.now() + 300 });
    const { endsAtMs } = subscriber;
    hub.changeChannels(subscriber, { add: ["c"], expiresAtMs: Date.now() + 60_000 });
    expect(subscriber.endsAtMs).toBe(endsAtMs);
    await until(() => sink.ended);
    expect(JSON.parse(sink.events.at(-1)?.data ?? "")).toMatchObject({ reason: "expired" });
    await hub.close();
  });
});

describe("where it counts from", () => {
  test("one that lags is given what was added from its own position on", async () => {
    const hub = makeHub();
    const { sink, subscriber } = connect(hub, ["a"]);
    sink.stalled = true;
    const first = await hub.publish({ channel: "a", data: "1" });
    await until(() => subscriber.state === "full");
    await hub.publish([
      { channel: "b", data: "2" },
      { channel: "a", data: "3" },
    ]);
    const { position } = hub.changeChannels(subscriber, { add: ["b"], drop: ["a"] });
    expect(position).toBe(first);
    sink.drain();
    await until(() => sink.events.length === 2);
    expect(data(sink)).toEqual(["1", "2"]);
    await hub.publish([
      { channel: "a", data: "4" },
      { channel: "b", data: "5" },
    ]);
    await until(() => sink.events.length === 3);
    expect(data(sink)).toEqual(["1", "2", "5"]);
    await hub.close();
  });

  test("a slice that was read for the channels before is void", async () => {
    let wait = 0;
    const hub = makeHub({ log: slowLog(createMemoryLog(), () => wait) });
    const { sink, subscriber } = connect(hub, ["a"]);
    sink.stalled = true;
    await hub.publish({ channel: "a", data: "1" });
    await until(() => subscriber.state === "full");
    await hub.publish([
      { channel: "b", data: "2" },
      { channel: "a", data: "3" },
    ]);
    wait = 20;
    sink.drain();
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    expect(subscriber.state).toBe("reading"); // and the read is under way
    hub.changeChannels(subscriber, { add: ["b"] });
    await until(() => sink.events.length === 3);
    expect(data(sink)).toEqual(["1", "2", "3"]);
    await hub.close();
  });

  test("a round that is under way brings it nothing of what it had before", async () => {
    const hub = makeHub({ turn: { writingMs: -1, writesPerLook: 1 } });
    const clients = Array.from({ length: 40 }, (_, at) => connect(hub, ["a"], { user: `u${at}` }));
    await hub.publish([
      { channel: "a", data: "1" },
      ...clients.map((_, at) => ({ channel: `@user/u${at}`, data: "mine" })),
      { channel: "b", data: "2" },
    ]);
    // Committed before they read on: so they are at the tail again, beyond the round's end, when their turn in it comes.
    const more = hub.publish({ channel: "b", data: "3" });
    const positions = clients.map(
      ({ subscriber }) => hub.changeChannels(subscriber, { add: ["b"], drop: ["a"] }).position,
    );
    expect(new Set(positions).size).toBe(2); // some had their turn, some had not
    await more;
    await until(() => clients.every(({ sink }) => data(sink).includes("3")));
    await hub.publish({ channel: "b", data: "4" });
    await until(() => clients.every(({ sink }) => data(sink).at(-1) === "4"));
    for (const [at, { sink }] of clients.entries()) {
      const had = sequenceOf(positions[at] as string) > 0;
      expect(data(sink)).toEqual(had ? ["1", "mine", "3", "4"] : ["mine", "2", "3", "4"]);
    }
    await hub.close();
  });

  test("one that is held back by its rate reads on with the new channels", async () => {
    const hub = makeHub({ streamRate: 20 });
    const { sink, subscriber } = connect(hub, ["a"]);
    await hub.publish(Array.from({ length: 30 }, (_, n) => ({ channel: n < 25 ? "a" : "b", data: `${n}` })));
    await until(() => sink.events.length === 20);
    hub.changeChannels(subscriber, { add: ["b"], drop: ["a"] });
    await until(() => sink.events.length === 25);
    expect(data(sink).slice(20)).toEqual(["25", "26", "27", "28", "29"]);
    await hub.close();
  });

  test("what was dropped of an added channel behind the position is said", async () => {
    const hub = makeHub({ log: createMemoryLog({ retention: { events: 2 } }) });
    const { sink, subscriber } = connect(hub, ["a"]);
    sink.stalled = true;
    await hub.publish({ channel: "a", data: "1" });
    await until(() => subscriber.state === "full");
    for (let n = 0; n < 5; n++) await hub.publish({ channel: "b", data: `b${n}` });
    subscriber.knownDrops = hub.log.drops; // as if its own drops up to here had been said
    hub.changeChannels(subscriber, { add: ["b"] });
    sink.drain();
    await until(() => sink.events.length === 4);
    expect(data(sink)).toEqual(["1", "millrace.gap", "b3", "b4"]);
    expect(JSON.parse(sink.events[1]?.data ?? "")).toEqual({ reason: "dropped", may: false, channels: ["b"] });
    await hub.close();
  });
});

/*
 * Selections that change under random use: each subscriber is given exactly what its channels were at each position,
 * once and in order, and every change counts from the position that was answered.
 */

const channels = ["a", "a/b", "a/b/c", "b", "c", "c/d"] as const;
const patterns = [...channels, "a/*", "a/b/*", "c/*", "*"] as const;

type Step =
  | { readonly do: "publish"; readonly channels: readonly string[]; readonly large: boolean }
  | { readonly do: "change"; readonly who: number; readonly add: readonly string[]; readonly drop: readonly string[] }
  | { readonly do: "connect"; readonly channels: readonly string[]; readonly user: number; readonly gzip: boolean }
  | { readonly do: "stall" | "drain" | "leave"; readonly who: number }
  | { readonly do: "turn" | "pause" };

const some = (maxLength: number) => fc.uniqueArray(fc.constantFrom<string>(...patterns), { maxLength });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      channels: fc.array(fc.constantFrom<string>(...channels, "@all", "@user/u0"), { minLength: 1, maxLength: 6 }),
      large: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("change" as const), who: fc.nat(20), add: some(2), drop: some(2) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ do: fc.constant("connect" as const), channels: some(3), user: fc.nat(1), gzip: fc.boolean() },
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("stall" as const, "drain" as const, "drain" as const, "leave" as const),
      who: fc.nat(20),
    }),
  },
  { weight: 6, arbitrary: fc.constant({ do: "turn" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "pause" as const }) },
);

/** What a selection holds, as the protocol says it: a name or a prefix that a wider one covers is not kept. */
const holds = (pattern: string, name: string) => {
  const prefix = pattern.endsWith("*") ? pattern.slice(0, -1) : undefined;
  if (prefix === undefined) return pattern === name;
  return name.startsWith(prefix) && name.length > prefix.length && !name.startsWith("@");
};
const kept = (all: readonly string[]) =>
  [...new Set(all)].filter((one) => !all.some((wider) => wider !== one && holds(wider, one)));

interface Client {
  readonly sink: RecordingSink;
  readonly subscriber: Subscriber;
  readonly own: readonly string[];
  /** What it reads from each position on, and how many events it had been given by then. */
  readonly changes: { readonly after: number; readonly patterns: readonly string[]; readonly had: number }[];
}

/** A channel's worth of bytes of which two do not fit one write. */
const large = "x".repeat(40_000);

async function settle(hub: Hub): Promise<void> {
  let before = -1;
  let quiet = 0;
  while (quiet < 200) {
    await nextTurn();
    const { deliveries, gaps } = hub.stats();
    quiet = deliveries + gaps === before ? quiet + 1 : 0;
    before = deliveries + gaps;
  }
}

async function play(steps: readonly Step[], readTurns: readonly number[], events: number): Promise<void> {
  let reads = 0;
  const memory = createMemoryLog({ retention: { events } });
  const log = slowLog(memory, () => readTurns[reads++ % readTurns.length] ?? 0);
  // So short a turn that a round of writing is cut behind every write. One of 16 slots is sent heartbeats each ms.
  const hub = new Hub({ log, heartbeatMs: 16, turn: { writingMs: -1, readingMs: 0, writesPerLook: 1 } });
  const published: { readonly sequence: number; readonly channel: string }[] = [];
  const clients: Client[] = [];
  let number = 0;
  for (const action of steps) {
    const client = "who" in action ? clients[action.who % Math.max(1, clients.length)] : undefined;
    if (action.do === "turn") await nextTurn();
    else if (action.do === "pause") await sleep(2);
    else if (action.do === "publish") {
      for (const channel of action.channels) {
        const event = { data: action.large && number % 3 === 0 ? large : `${number}` };
        number++;
        const sent =
          channel === "@all"
            ? hub.broadcast(event)
            : channel === "@user/u0"
              ? hub.sendToUser("u0", event)
              : hub.publish({ channel, ...event });
        sent.then((id) => published.push({ sequence: sequenceOf(id), channel }));
      }
    } else if (action.do === "connect") {
      const identity = action.user === 0 ? { user: "u0", roles: ["r"] } : {};
      const { sink, subscriber } = connect(hub, action.channels, identity, action.gzip);
      const own = action.user === 0 ? ["@all", "@user/u0"] : ["@all"];
      const first = { after: sequenceOf(sink.lastEventId), patterns: kept(action.channels), had: 0 };
      clients.push({ sink, subscriber, own, changes: [first] });
    } else if (action.do === "change" && client) {
      const drop = action.drop.filter((pattern) => !action.add.includes(pattern));
      const before = client.changes.at(-1)?.patterns ?? [];
      const after = kept([...before.filter((pattern) => !drop.includes(pattern)), ...action.add]);
      const { channels: answered, position } = hub.changeChannels(client.subscriber, { add: action.add, drop });
      expect([...answered].sort()).toEqual([...after].sort());
      const had = client.sink.events.length;
      client.changes.push({ after: sequenceOf(position), patterns: after, had });
    } else if (action.do === "stall" && client) client.sink.stalled = true;
    else if (action.do === "drain") client?.sink.drain();
    else if (action.do === "leave" && client && clients.length > 3) {
      client.sink.destroy();
      clients.splice(clients.indexOf(client), 1);
    }
  }
  await settle(hub);
  published.sort((a, b) => a.sequence - b.sequence);
  for (const { sink } of clients) sink.drain();
  const end = await hub.broadcast({ data: "the end" }); // compressed bytes come later than others
  published.push({ sequence: sequenceOf(end), channel: "@all" });
  await until(() => clients.every(({ sink, subscriber }) => sink.lastEventId === end && subscriber.state === "live"));
  for (const { sink, subscriber, own, changes } of clients) {
    expect(subscriber.state).toBe("live");
    const ids = [...sink.text.matchAll(/^id: (\S+)$/gm)].map(([, id]) => sequenceOf(id as string));
    expect(ids).toEqual([...ids].sort((a, b) => a - b)); // no cursor goes back
    const due = published.filter(({ sequence, channel }) => {
      const change = changes.findLast(({ after }) => after < sequence);
      return change && (own.includes(channel) || change.patterns.some((pattern) => holds(pattern, channel)));
    });
    const dueSequences = due.map(({ sequence }) => sequence);
    const got = sink.events.filter(({ type }) => !type.startsWith("millrace."));
    const gotSequences = got.map(({ lastEventId }) => sequenceOf(lastEventId));
    if (got.length === sink.events.length) expect(gotSequences).toEqual(dueSequences);
    else {
      expect(gotSequences).toEqual(dueSequences.filter((sequence) => gotSequences.includes(sequence)));
      expect(gotSequences.length).toBeLessThan(dueSequences.length);
    }
    for (const { after, had } of changes) {
      for (const [at, { type, lastEventId }] of sink.events.entries()) {
        if (!type.startsWith("millrace.")) expect(sequenceOf(lastEventId) <= after).toBe(at < had);
      }
    }
  }
  await hub.close({ drainMs: 0 });
}

const game = fc.tuple(
  fc.array(step, { minLength: 10, maxLength: 80, size: "max" }),
  fc.constantFrom<readonly number[]>([0], [0, 1, 3], [2, 5, 0, 1]),
);

const everyone = "everyone gets what its channels are at each position, once and in order";
test(everyone, { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(game, ([steps, readTurns]) => play(steps, readTurns, 10_000)),
    { numRuns: 200 },
  );
});

const gaps = "with little retention a gap is said when something is missing, and only then";
test(gaps, { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(game, ([steps, readTurns]) => play(steps, readTurns, 5)),
    { numRuns: 200 },
  );
});
