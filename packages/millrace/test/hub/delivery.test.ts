import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Hub } from "../../src/hub/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import { parsePosition, parseSelection, selects } from "../../src/protocol/index.js";
import { InflatingSink } from "./inflating-sink.js";
import { RecordingSink } from "./recording-sink.js";
import { until } from "./until.js";

/*
 * A hub under random use against what it promises: each subscriber is given every event of its selection behind its
 * cursor exactly once and in order, however its sink behaves, and a gap exactly when some of them were dropped.
 */

/** Some events are so large that two of them do not fit one write. */
const large = "x".repeat(40_000);
const sequenceOf = (id: string): number => parsePosition(id)?.sequence as number;
const channels = ["a", "a/b", "a/b/c", "d", "@user/u0", "@user/u1", "@role/r"] as const;
/** Few, so that groups have several members. */
const selections = [["a"], ["a", "d"], ["a/*", "d"], ["*"], ["nothing"]] as const;

type Step =
  | { readonly do: "publish"; readonly channels: readonly string[] }
  | {
      readonly do: "connect";
      readonly patterns: readonly string[];
      readonly count: number;
      readonly user: number;
      readonly resume: boolean;
      readonly gzip: boolean;
    }
  | { readonly do: "stall" | "drain" | "leave"; readonly who: number }
  | { readonly do: "turn" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      channels: fc.array(fc.constantFrom(...channels), { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("connect" as const),
      patterns: fc.constantFrom<readonly string[]>(...selections),
      count: fc.integer({ min: 1, max: 4 }),
      user: fc.nat(2),
      resume: fc.boolean(),
      gzip: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("stall" as const, "drain" as const, "leave" as const),
      who: fc.nat(20),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "turn" as const }) },
);

interface Published {
  readonly id: string;
  readonly channel: string;
}

interface Client {
  readonly sink: RecordingSink;
  readonly wants: (channel: string) => boolean;
  /** Sequence behind which it reads. */
  readonly after: number;
}

async function settle(hub: Hub): Promise<void> {
  let before = -1;
  let quiet = 0; // a turn writes once at most, and merely looks at those who have had theirs
  while (quiet < 200) {
    await nextTurn();
    const { deliveries, gaps } = hub.stats();
    quiet = deliveries + gaps === before ? quiet + 1 : 0;
    before = deliveries + gaps;
  }
}

/** So short a turn that a round of writing is cut behind every write, and new clients come in between. */
const turn = { writingMs: -1, readingMs: 0, writesPerLook: 1 };

async function play(steps: readonly Step[], events: number): Promise<void> {
  const hub = new Hub({ log: createMemoryLog({ retention: { events } }), heartbeatMs: 0, turn });
  const published: Published[] = [];
  const clients: Client[] = [];
  let number = 0;
  const pick = (who: number): Client | undefined => clients[who % Math.max(1, clients.length)];
  for (const action of steps) {
    if (action.do === "turn") await nextTurn();
    else if (action.do === "publish") {
      const batch = action.channels.map((channel) => ({ channel, data: number++ % 3 === 0 ? large : "small" }));
      hub.publish(batch).then((ids) => {
        for (const [at, id] of ids.entries()) published.push({ id, channel: batch[at]?.channel as string });
      });
    } else if (action.do === "connect") {
      const selection = parseSelection(action.patterns);
      const user = action.user === 2 ? undefined : `u${action.user}`;
      const roles = action.user === 0 ? ["r"] : [];
      const position = published[Math.floor(published.length / 2)];
      const resume = action.resume && position !== undefined;
      const own = [...(user ? [`@user/${user}`] : []), ...roles.map((role) => `@role/${role}`)];
      const wants = (channel: string) => own.includes(channel) || selects(selection, channel);
      const options = {
        selection,
        gzip: action.gzip,
        identity: { roles, ...(user ? { user } : {}) },
        ...(resume ? { lastEventId: position.id } : {}),
      };
      for (let connected = 0; connected < action.count; connected++) {
        const sink = action.gzip ? new InflatingSink() : new RecordingSink();
        hub.connect(options, () => sink);
        clients.push({ sink, wants, after: sequenceOf(resume ? position.id : sink.lastEventId) });
      }
    } else {
      const client = pick(action.who);
      if (action.do === "stall" && client) client.sink.stalled = true;
      if (action.do === "drain") client?.sink.drain();
      if (action.do === "leave" && client && clients.length > 3) {
        client.sink.destroy();
        clients.splice(clients.indexOf(client), 1);
      }
    }
  }
  await settle(hub);
  published.sort((a, b) => sequenceOf(a.id) - sequenceOf(b.id));
  for (const { sink } of clients) sink.drain();
  await hub.broadcast({ data: "the end" }); // everyone hears it, compressed bytes later than others
  await until(() => clients.every(({ sink }) => sink.events.at(-1)?.channel === "@all"));
  for (const { sink, wants, after } of clients) {
    const got = sink.events.filter(({ type, channel }) => !type.startsWith("millrace.") && channel !== "@all");
    const gaps = sink.events.length - 1 - got.length;
    const due = published.filter(({ id, channel }) => sequenceOf(id) > after && wants(channel));
    const ids = got.map(({ lastEventId }) => lastEventId);
    if (gaps === 0) expect(ids).toEqual(due.map(({ id }) => id));
    else {
      // In order, nothing twice, nothing else, and something is really missing.
      const dueIds = due.map(({ id }) => id);
      expect(ids).toEqual(dueIds.filter((id) => ids.includes(id)));
      expect(ids.length + gaps).toBeLessThanOrEqual(dueIds.length);
    }
  }
  await hub.close({ drainMs: 0 });
}

test("everyone gets everything, once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), (steps) => play(steps, 1_000)),
    { numRuns: 300 },
  );
});

test("with little retention a gap is said exactly when something is missing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), (steps) => play(steps, 6)),
    { numRuns: 300 },
  );
});

/** With a turn of the event loop for each write. */
const slowly = { writingMs: -1, writesPerLook: 1 };

test("what is published while a round is under way leaves with it for those who have not had their turn", async () => {
  const hub = new Hub({ log: createMemoryLog(), heartbeatMs: 0, turn: slowly });
  const sinks = Array.from({ length: 4 }, () => {
    const sink = new RecordingSink();
    hub.connect({ selection: parseSelection(["a"]) }, () => sink);
    return sink;
  });
  const opened = sinks.map(({ writes }) => writes.length);
  const first = hub.publish({ channel: "a", data: "1" });
  await until(() => sinks.some(({ events }) => events.length > 0));
  await hub.publish({ channel: "a", data: "2" });
  await first;
  await until(() => sinks.every(({ events }) => events.length === 2));
  expect(sinks.map(({ events }) => events.map(({ data }) => data))).toEqual(sinks.map(() => ["1", "2"]));
  const writes = sinks.map((sink, at) => sink.writes.length - (opened[at] as number));
  expect(new Set(writes)).toEqual(new Set([1, 2]));
  await hub.close();
});

test("a small group does not wait for the round of a large one", async () => {
  const hub = new Hub({ log: createMemoryLog(), heartbeatMs: 0, turn: slowly });
  const connect = (channel: string) => {
    const sink = new RecordingSink();
    hub.connect({ selection: parseSelection([channel]) }, () => sink);
    return sink;
  };
  const many = Array.from({ length: 20 }, () => connect("a"));
  const few = connect("b");
  await hub.publish([
    { channel: "a", data: "1" },
    { channel: "b", data: "2" },
  ]);
  await until(() => few.events.length === 1);
  expect(many.filter(({ events }) => events.length > 0).length).toBeLessThan(10);
  await until(() => many.every(({ events }) => events.length === 1));
  await hub.close();
});
