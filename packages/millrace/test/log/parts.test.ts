import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Channels } from "../../src/log/channels.js";
import type { Entry } from "../../src/log/entry.js";
import { Epochs } from "../../src/log/epochs.js";
import { Keys } from "../../src/log/keys.js";
import { defaultRetention } from "../../src/log/log.js";
import { Marks } from "../../src/log/marks.js";
import { Members } from "../../src/log/members.js";
import { TailCache } from "../../src/log/tail.js";
import { covers } from "../../src/protocol/index.js";
import { select } from "./support.js";

describe("members", () => {
  test("are the channels that a prefix covers, however they come and go", () => {
    const name = fc.array(fc.constantFrom("a", "b", "/", "@"), { minLength: 1, maxLength: 5 }).map((at) => at.join(""));
    const step = fc.record({
      name,
      add: fc.boolean(),
      ask: fc.option(fc.constantFrom("", "a/", "b/", "a/b/", "a//", "/")),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const all = new Map<string, { name: string }>();
        const members = new Members(all);
        for (const at of steps) {
          const known = all.get(at.name);
          if (at.add && !known) {
            const channel = { name: at.name };
            all.set(at.name, channel);
            members.add(channel);
          } else if (!at.add && known) {
            all.delete(at.name);
            members.delete(known);
          }
          if (at.ask === null) continue;
          const prefix = at.ask;
          const expected = [...all.keys()].filter((channel) => covers(prefix, channel)).sort();
          expect([...members.of(prefix)].map((channel) => channel.name).sort()).toEqual(expected);
        }
      }),
    );
  });

  test("stay right when there are more prefixes than are remembered", () => {
    const all = new Map<string, { name: string }>();
    const members = new Members(all);
    for (let n = 0; n < 1500; n++) {
      const channel = { name: `p${n}/x` };
      all.set(channel.name, channel);
      members.add(channel);
      expect([...members.of(`p${n}/`)]).toEqual([channel]);
    }
    expect(members.of("").size).toBe(1500);
  });
});

describe("channels", () => {
  test("that are empty are remembered, a hundred thousand of them", () => {
    const channels = new Channels({ ...defaultRetention, ageMs: 10 }, () => {});
    for (let n = 1; n <= 100_100; n++) channels.add(`c${n}`, n, 50, 0, 0);
    channels.sweep(100);
    expect({ size: channels.size, entries: channels.entries, bytes: channels.bytes }).toEqual({
      ...{ size: 100_000, entries: 0, bytes: 0 },
    });
    expect(channels.forgottenThrough).toBe(100);
    expect(channels.gap(select("c100"), 99, -1)).toEqual({ may: true, channels: [] });
    expect(channels.gap(select("c101"), 99, -1)).toEqual({ may: false, channels: ["c101"] });
    expect(channels.gap(select("c101"), 101, -1)).toBeUndefined();
  });

  test("are forgotten without harm to others that keep older entries, over a restart too", () => {
    const policies = [{ channels: "short/*", retention: { ageMs: 100 } }];
    const retention = { ...defaultRetention, memoryAgeMs: 10 };
    let channels = new Channels(retention, () => {}, policies);
    channels.add("long", 1, 50, 0, 0);
    channels.add("long/2", 2, 50, 0, 0);
    for (let n = 3; n <= 1000; n++) channels.add(`short/${n}`, n, 50, 0, n);
    channels.add("long/2", 1001, 50, 0, 1001);
    channels.sweep(1200);
    channels.sweep(1300);
    expect(channels.size).toBe(2);
    channels.add("short/3", 1002, 50, 0, 1300);
    for (const restarted of [false, true]) {
      if (restarted) {
        const record = JSON.parse(JSON.stringify(channels.record()));
        channels = new Channels(retention, () => {}, policies);
        channels.restore(record, 0, 1300);
        const entries: [string, number][] = [
          ["long", 1],
          ["long/2", 2],
          ["short/3", 3],
          ["short/4", 4],
          ["long/2", 1001],
        ];
        for (const [name, sequence] of [...entries, ["short/3", 1002] as const]) {
          if (channels.has(name, sequence)) channels.add(name, sequence, 50, 0, sequence === 1002 ? 1300 : sequence);
        }
        channels.endRestore(1002);
      }
      expect({ entries: channels.entries, channels: channels.size }).toEqual({ entries: 4, channels: 3 });
      for (const [name, sequence] of [
        ["long", 1],
        ["long/2", 2],
        ["short/3", 1002],
      ] as const) {
        expect(channels.has(name, sequence), name).toBe(true);
      }
      expect(channels.has("short/3", 3)).toBe(false); // in a file it may still lie
      expect(channels.has("short/4", 4)).toBe(false);
      expect(channels.gap(select("long", "long/2"), 0, -1)).toBeUndefined();
      for (const name of ["short/3", "short/4"])
        expect(channels.gap(select(name), 2, -1)).toEqual({ may: true, channels: [] });
    }
  });

  test("that a crash brings back do not push out what is kept for longer", () => {
    const policies = [{ channels: "short", retention: { ageMs: 100 } }];
    const retention = { ...defaultRetention, totalBytes: 1000 };
    const run = (channels: Channels) => {
      channels.add("long", 1, 500, 0, 0);
      channels.add("short", 2, 400, 0, 0);
      if (channels.entries === 2) channels.sweep(200);
      channels.add("long", 3, 400, 0, 200);
      return channels;
    };
    const channels = run(new Channels(retention, () => {}, policies));
    const again = new Channels(retention, () => {}, policies);
    again.restore({ channels: {}, forgottenThrough: 0, unknown: {}, through: 0 }, 0, 200);
    run(again).endRestore(3);
    for (const each of [channels, again]) {
      expect([1, 2, 3].map((sequence) => each.has(sequence === 2 ? "short" : "long", sequence))).toEqual([
        true,
        false,
        true,
      ]);
      expect(each.gap(select("short"), 0, -1)).toEqual({ may: false, channels: ["short"] });
    }
  });

  test("meet many marks that concern nothing without a walk for each", () => {
    const channels = new Channels({ ...defaultRetention, totalBytes: 10_000, events: 1 }, () => {});
    // A noisy channel leaves a mark for each of its entries; then others take the room.
    for (let n = 1; n <= 100_000; n++) channels.add("noisy", n, 200, 0, 0);
    for (let n = 1; n <= 5000; n++) channels.add(`c${n}`, 100_000 + n, 100, 0, 0);
    expect(channels.bytes).toBeLessThanOrEqual(10_000);
    expect(channels.bytes).toBeGreaterThan(9500);
  });

  test("of connections that have gone leave nothing, and make nobody else unsure", () => {
    const channels = new Channels(defaultRetention, () => {});
    channels.add("news", 1, 50, 0, 0);
    for (let n = 2; n <= 50_001; n++) channels.add(`@connection/${n}`, n, 50, 0, 0);
    channels.sweep(59_000);
    expect(channels.entries).toBe(50_001);
    channels.sweep(62_000);
    expect(channels.entries).toBe(1);
    expect(channels.gap(select("@connection/2"), 1, -1)).toEqual({ may: false, channels: ["@connection/2"] }); // it lags
    channels.sweep(11 * 60_000 + 3000);
    expect({ size: channels.size, bytes: channels.bytes }).toEqual({ size: 1, bytes: 50 });
    expect(channels.gap(select("news", "never", "*"), 0, -1)).toBeUndefined();
    expect(channels.has("@connection/2", 2)).toBe(false); // in a file it may still lie
  });

  test("of runs are a hundred thousand records, whatever is said of all", () => {
    const channels = new Channels({ ...defaultRetention, events: 1, ageMs: 10, totalBytes: 1000 }, () => {});
    for (let n = 1; n <= 100_100; n++) channels.add("@runs", n, 50, 0, n);
    channels.sweep(1e9);
    expect(channels.entries).toBe(100_000);
  });

  test("that are broadcast to may have lost what nobody knows of, after a restart that lost files", () => {
    const channels = new Channels(defaultRetention, () => {});
    channels.restore({ channels: {}, forgottenThrough: 0, unknown: {}, through: 0 }, 5, 0);
    channels.endRestore(10);
    expect(channels.gap(select("@all"), 4, -1)).toEqual({ may: true, channels: [] });
    expect(channels.gap(select("@all"), 5, -1)).toBeUndefined();
    channels.sweep(1e12);
    expect(channels.gap(select("@all"), 4, -1)).toEqual({ may: true, channels: [] });
  });

  test("that were known exactly still are after a restart", () => {
    const channels = new Channels({ ...defaultRetention, ageMs: 10_000, memoryAgeMs: 10 }, () => {});
    channels.add("gone", 1, 50, 0, 0);
    channels.add("kept", 2, 50, 0, 10_000);
    channels.sweep(11_000);
    channels.add("known", 3, 50, 0, 11_000);
    channels.sweep(11_050);
    expect(channels.forgottenThrough).toBe(1);
    channels.add("new", 4, 50, 0, 11_001);
    const again = new Channels(channels.retention, () => {});
    again.restore(JSON.parse(JSON.stringify(channels.record())), 0, 11_002);
    again.add("kept", 2, 50, 0, 10_000);
    again.add("known", 3, 50, 0, 11_000);
    again.add("new", 4, 50, 0, 11_001);
    again.add("since", 5, 50, 0, 11_001); // behind the record: a crash
    again.endRestore(5);
    for (const each of [channels, again]) {
      expect(each.gap(select("kept"), 0, -1)).toBeUndefined();
      expect(each.gap(select("new"), 0, -1)).toEqual({ may: true, channels: [] });
      expect(each.gap(select("gone"), 0, -1)).toEqual({ may: true, channels: [] });
      expect(each.gap(select("gone"), 1, -1)).toBeUndefined();
    }
    expect(again.gap(select("since"), 0, -1)).toEqual({ may: true, channels: [] });
  });

  test("age again once a clock that was ahead is right", () => {
    const channels = new Channels({ ...defaultRetention, ageMs: 10_000 }, () => {});
    channels.add("a", 1, 50, 0, 1_000_000);
    channels.sweep(1_000_000);
    channels.add("a", 2, 50, 0, 1000);
    channels.sweep(2000);
    expect(channels.entries).toBe(2);
    channels.sweep(11_001);
    expect(channels.entries).toBe(0);
  });
});

describe("marks", () => {
  test("are a queue that is asked by value", () => {
    const step = fc.record({ push: fc.nat(3000), take: fc.nat(3000), raise: fc.integer({ min: -3, max: 10 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
        const marks = new Marks();
        const model: { value: number; sequence: number }[] = [];
        let value = 0;
        let sequence = 0;
        for (const at of steps) {
          for (let n = 0; n < at.push; n++) {
            value += at.raise;
            while ((model.at(-1)?.value ?? -Infinity) > value) model.pop();
            model.push({ value, sequence: ++sequence });
            marks.push(value, sequence);
          }
          expect(marks.last).toBe(model.at(-1)?.value ?? -Infinity);
          for (let n = 0; n < at.take; n++) {
            const limit = model[0] ? model[0].value - (n % 50 === 49 ? 1 : 0) : value;
            const expected = model[0] && model[0].value <= limit ? model.shift() : undefined;
            expect(marks.takeUpTo(limit)).toBe(expected?.sequence);
          }
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe("the tail cache", () => {
  test("holds the newest entries without holes, as many as fit, and one at least", () => {
    const entry = (sequence: number, size: number): Entry => ({
      ...{ sequence, timeMs: 0, channel: "a", key: undefined, json: false },
      ...{ bytes: Buffer.alloc(0), start: 10, end: 10 + size },
    });
    fc.assert(
      fc.property(
        fc.nat(500),
        fc.integer({ min: 1, max: 1000 }),
        fc.array(fc.nat(120), { maxLength: 4000 }),
        (limit, first, sizes) => {
          const cache = new TailCache(limit);
          expect(cache.first).toBe(Infinity);
          for (const [at, size] of sizes.entries()) cache.push(entry(first + at, size));
          const tail = first + sizes.length - 1;
          let bytes = 0;
          for (let sequence = cache.first; sequence <= tail; sequence++) {
            expect(cache.get(sequence)?.sequence).toBe(sequence);
            bytes += sizes[sequence - first] ?? 0;
          }
          if (sizes.length > 0) expect(cache.first).toBeLessThanOrEqual(tail);
          if (cache.first < tail) expect(bytes).toBeLessThanOrEqual(limit);
          if (cache.first > first && cache.first !== Infinity) {
            expect(bytes + (sizes[cache.first - first - 1] ?? 0)).toBeGreaterThan(limit);
          }
          expect(cache.get(cache.first - 1)).toBeUndefined();
          expect(cache.get(tail + 1)).toBeUndefined();
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("epochs", () => {
  test("place each position that was given: exactly, or as lost when its entry is", () => {
    const run = fc.record({ append: fc.nat(5), lose: fc.nat(3), may: fc.boolean() });
    fc.assert(
      fc.property(fc.array(run, { minLength: 1, maxLength: 30 }), (runs) => {
        let epochs = new Epochs();
        let tail = 0;
        let positions: { text: string; sequence: number; gone: boolean; may: boolean }[] = [];
        for (const { append, lose, may } of runs) {
          const before = tail;
          tail = Math.max(0, tail - lose);
          const lost = may || tail < before;
          positions = positions.map((at) => ({
            ...at,
            gone: at.gone || at.sequence > tail,
            may: at.may || lost,
            sequence: Math.min(at.sequence, tail),
          }));
          epochs = new Epochs(JSON.parse(JSON.stringify(epochs.begin(tail + 1, lost).list)));
          for (let n = 0; n < append; n++) {
            tail++;
            positions.push({ text: epochs.position(tail), sequence: tail, gone: false, may: false });
          }
          for (const { text, sequence, gone, may: mayBe } of positions) {
            const expected = gone ? "yes" : mayBe ? "may" : "no";
            expect(epochs.locate(text, tail)).toEqual({ sequence, lost: expected });
          }
          for (let sequence = 0; sequence <= tail; sequence++) {
            expect(epochs.locate(epochs.position(sequence), tail)).toMatchObject({ sequence });
          }
        }
      }),
    );
  });

  test("are not forgotten by a hub that restarts again and again and writes nothing", () => {
    let epochs = new Epochs().begin(1, false);
    const position = epochs.position(10);
    for (let n = 0; n < 5000; n++) epochs = epochs.begin(11, n === 7);
    expect(epochs.list.length).toBeLessThan(10);
    expect(epochs.locate(position, 10)).toEqual({ sequence: 10, lost: "may" });
  });

  test("have a bound; a position from before is lost", () => {
    let epochs = new Epochs().begin(1, false);
    const position = epochs.position(1);
    for (let n = 2; n < 1500; n++) epochs = epochs.begin(n, false);
    expect(epochs.list).toHaveLength(1000);
    expect(epochs.locate(position, 2000)).toEqual({ sequence: 0, lost: "yes" });
  });
});

describe("idempotency keys", () => {
  test("are a million at most, the newest", () => {
    const keys = new Keys(Infinity);
    for (let n = 0; n < 1_000_100; n++) keys.add({ key: `k${n}`, digest: "d", first: n, count: 1, timeMs: 0 });
    keys.sweep(0);
    expect(keys.find("k99", "d", 0)).toBeUndefined();
    expect(keys.find("k100", "d", 0)).toEqual({ first: 100, count: 1 });
    expect(keys.find("k1000099", "d", 0)).toEqual({ first: 1_000_099, count: 1 });
  });
});
