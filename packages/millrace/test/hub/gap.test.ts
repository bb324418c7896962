import { expect, test } from "vitest";
import { Hub } from "../../src/hub/index.js";
import { createMemoryLog } from "../../src/log/index.js";
import { parseSelection } from "../../src/protocol/index.js";
import { RecordingSink } from "./recording-sink.js";
import { until } from "./until.js";

const large = "x".repeat(40_000);

test("a gap is said once, in front of what follows it, however many reads the rest takes", async () => {
  const hub = new Hub({ log: createMemoryLog({ retention: { events: 3 } }), heartbeatMs: 0 });
  const start = hub.position();
  // "noisy" loses its first entries; those of "quiet" are older than the hole, so the hole stays ahead of the cursor.
  for (let i = 0; i < 3; i++) await hub.publish({ channel: "quiet", data: large });
  for (let i = 0; i < 5; i++) await hub.publish({ channel: "noisy", data: `${i}` });
  const sink = new RecordingSink();
  hub.connect({ selection: parseSelection(["quiet", "noisy"]), lastEventId: start }, () => sink);
  await until(() => sink.events.length >= 7);
  expect(sink.events.map(({ type, channel }) => channel ?? type)).toEqual([
    "millrace.gap",
    ...["quiet", "quiet", "quiet"],
    ...["noisy", "noisy", "noisy"],
  ]);
  expect(JSON.parse(sink.events[0]?.data ?? "")).toEqual({ reason: "dropped", may: false, channels: ["noisy"] });
  await hub.close();
});

test("what is dropped while a subscriber lags is said when it reads on", async () => {
  const hub = new Hub({ log: createMemoryLog({ retention: { events: 3 } }), heartbeatMs: 0 });
  const sink = new RecordingSink();
  hub.connect({ selection: parseSelection(["a"]) }, () => sink);
  sink.stalled = true;
  const ids = await hub.publish(Array.from({ length: 10 }, (_, n) => ({ channel: "a", data: `${n}` })));
  await until(() => sink.events.length === 10); // one round had begun
  await hub.publish(Array.from({ length: 10 }, (_, n) => ({ channel: "a", data: `${n + 10}` })));
  expect(sink.events).toHaveLength(10);
  expect(sink.lastEventId).toBe(ids.at(-1));
  sink.drain();
  await until(() => sink.events.length === 14);
  expect(sink.events.slice(10).map(({ type, data }) => (type === "millrace.gap" ? type : data))).toEqual([
    "millrace.gap",
    "17",
    "18",
    "19",
  ]);
  await hub.close();
});

test("a rewind says no gap for what it could not have had, and one for what is dropped behind its back", async () => {
  const hub = new Hub({ log: createMemoryLog({ retention: { events: 3 } }), heartbeatMs: 0 });
  for (let n = 0; n < 10; n++) await hub.publish({ channel: "a", data: `${n}` });
  const sink = new RecordingSink();
  hub.connect({ selection: parseSelection(["a"]), rewind: "all" }, () => sink);
  sink.stalled = true;
  await until(() => sink.events.length === 3);
  for (let n = 10; n < 20; n++) await hub.publish({ channel: "a", data: `${n}` });
  sink.drain();
  await until(() => sink.events.length === 7);
  expect(sink.events.map(({ type, data }) => (type === "millrace.gap" ? type : data))).toEqual([
    "7",
    "8",
    "9",
    "millrace.gap",
    "17",
    "18",
    "19",
  ]);
  await hub.close();
});
