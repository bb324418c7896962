import { describe, expect, test } from "vitest";
import type { Entry, Log, RetentionPolicy } from "../../src/log/index.js";
import { mulberry } from "../mulberry.js";
import { dataIn, dataOf, event, fields, own, readAll, type StartSubject, select, until } from "./support.js";

/** What every driver must do. */
export function logContract(name: string, start: StartSubject): void {
  describe(`the log contract: ${name}`, () => {
    describe("appending", () => {
      test("answers the sequences, which begin at 1 and go on without a hole", async () => {
        await using subject = await start();
        expect(subject.log.tail).toBe(0);
        expect(await subject.log.append([event("a")])).toEqual({ first: 1, count: 1 });
        expect(await subject.log.append([event("a"), event("b"), event("a")])).toEqual({ first: 2, count: 3 });
        await subject.settle();
        expect(subject.log.tail).toBe(4);
        expect(await subject.log.append([event("b")])).toEqual({ first: 5, count: 1 });
      });

      test("keeps everything of an event", async () => {
        await using subject = await start();
        const events = [
          event("news/é", "one\ntwo\r\nthree", { event: "tick", key: "schlüssel" }),
          event("news/é", { n: 1 }),
          event("constructor", ""),
          event("__proto__", "😀 ü"),
        ];
        await subject.log.append(events);
        await subject.settle();
        const { entries } = await readAll(subject.log);
        expect(entries.map(({ channel, key, json }) => ({ channel, key, json }))).toEqual([
          { channel: "news/é", key: "schlüssel", json: false },
          { channel: "news/é", key: undefined, json: true },
          { channel: "constructor", key: undefined, json: false },
          { channel: "__proto__", key: undefined, json: false },
        ]);
        expect(dataOf(entries)).toEqual(["one\ntwo\nthree", '{"n":1}', "", "😀 ü"]);
        expect(fields(entries[0] as Entry)).toMatchObject({ event: "tick", channel: "news/é" });
        expect(entries.every(({ timeMs }) => Math.abs(Date.now() - timeMs) < 60_000)).toBe(true);
      });

      test("keeps the order of the calls", async () => {
        await using subject = await start();
        const calls = Array.from({ length: 50 }, (_, at) => subject.log.append([event(`c${at % 3}`, String(at))]));
        const answers = await Promise.all(calls);
        expect(answers.map(({ first }) => first)).toEqual(calls.map((_, at) => at + 1));
        await subject.settle();
        expect(await dataIn(subject.log, "*")).toEqual(calls.map((_, at) => String(at)));
      });

      test("of nothing answers nothing", async () => {
        await using subject = await start();
        await subject.log.append([event("a")]);
        expect(await subject.log.append([])).toEqual({ first: 2, count: 0 });
        expect(subject.log.tail).toBe(1);
      });

      test("refuses all when one cannot be kept, and disturbs no other", async () => {
        await using subject = await start();
        const before = subject.log.append([event("a", "1")]);
        const bad = subject.log.append([event("a", "no"), { ...event("a"), data: "x".repeat(3 * 2 ** 20) }]);
        const unchecked = subject.log.append([event("a", "no"), { ...event("a"), retry: -1 }]);
        const after = subject.log.append([event("a", "2")]);
        await expect(bad).rejects.toMatchObject({ code: "invalid_event" });
        await expect(unchecked).rejects.toMatchObject({ code: "invalid_event" });
        expect(subject.log.stats().writable).toBe(true);
        expect([await before, await after]).toEqual([
          { first: 1, count: 1 },
          { first: 2, count: 1 },
        ]);
        await subject.settle();
        expect(await dataIn(subject.log, "*")).toEqual(["1", "2"]);
      });

      test("refuses more at once than a file can hold", async () => {
        await using subject = await start();
        const events = Array.from({ length: 40 }, () => event("a", "x".repeat(2 ** 21)));
        await expect(subject.log.append(events)).rejects.toMatchObject({ code: "invalid_event" });
        const named = event("a", "", { event: "e".repeat(256), key: "k".repeat(256) });
        await expect(subject.log.append(Array(130_000).fill(named))).rejects.toMatchObject({ code: "invalid_event" });
        expect(subject.log.tail).toBe(0);
      });
    });

    describe("a commit", () => {
      test("is told with its entries before its publisher hears of it, when it can be read", async () => {
        await using subject = await start();
        const { log } = subject;
        const story: string[] = [];
        log.onCommit((entries) => {
          const slice = log.read({ selection: select("*"), after: log.tail - 1, limitBytes: 1e6 });
          if (slice instanceof Promise) throw new Error("the newest entry is not in memory");
          story.push(`commit ${dataOf(entries)}, newest ${dataOf(slice.entries)}, tail ${log.tail}`);
        });
        await log.append([event("a", "1"), event("b", "2")]).then(() => story.push("answer"));
        expect(story).toEqual(["commit 1,2, newest 2, tail 2", "answer"]);
      });

      test("has one listener: a second hub on the log is refused", async () => {
        await using subject = await start();
        subject.log.onCommit(() => {});
        expect(() => subject.log.onCommit(() => {})).toThrow(expect.objectContaining({ code: "invalid_option" }));
      });

      test("takes all appends of one turn", async () => {
        await using subject = await start();
        const commits: number[][] = [];
        subject.log.onCommit((entries) => commits.push(entries.map(({ sequence }) => sequence)));
        await Promise.all([
          subject.log.append([event("a")]),
          subject.log.append([event("b"), event("a")]),
          subject.log.append([event("c")]),
        ]);
        await subject.log.append([event("a")]);
        expect(commits).toEqual([[1, 2, 3, 4], [5]]);
      });

      test("has a bound, and so has a turn", async () => {
        await using subject = await start();
        const commits: number[] = [];
        let turns = 0;
        let counting = true;
        const count = () => {
          turns++;
          if (counting) setImmediate(count);
        };
        setImmediate(count);
        const turnOf: number[] = [];
        subject.log.onCommit((entries) => {
          commits.push(entries.length);
          turnOf.push(turns);
        });
        await Promise.all(Array.from({ length: 9 }, () => subject.log.append([event("a", "x".repeat(2 ** 20))])));
        counting = false;
        expect(commits.length).toBeGreaterThanOrEqual(3);
        expect(new Set(turnOf).size).toBe(commits.length);
      });

      test("may lead to another append, also in the listener", async () => {
        await using subject = await start();
        const { log } = subject;
        let echoed: Promise<unknown> | undefined;
        log.onCommit((entries) => {
          if (entries[0]?.channel === "a") echoed = log.append([event("echo")]);
        });
        await log.append([event("a")]);
        expect(await echoed).toEqual({ first: 2, count: 1 });
      });
    });

    describe("idempotency", () => {
      const once = (key: string, digest = "d") => ({ idempotency: { key, digest } });

      test("gives a repeat the same answer, and appends nothing", async () => {
        await using subject = await start();
        await subject.log.append([event("a")]);
        const first = await subject.log.append([event("a", "1"), event("a", "2")], once("k"));
        await subject.settle();
        expect(await subject.log.append([event("a", "1"), event("a", "2")], once("k"))).toEqual({
          ...first,
          repeated: true,
        });
        expect(await dataIn(subject.log, "a")).toEqual(["x", "1", "2"]);
      });

      test("lets a repeat in flight wait for the first", async () => {
        await using subject = await start();
        const answers = await Promise.all([1, 2, 3].map(() => subject.log.append([event("a")], once("k"))));
        expect(answers).toEqual([
          { first: 1, count: 1 },
          { first: 1, count: 1, repeated: true },
          { first: 1, count: 1, repeated: true },
        ]);
        expect(subject.log.tail).toBe(1);
      });

      test("refuses a key with another body, in flight too", async () => {
        await using subject = await start();
        const first = subject.log.append([event("a")], once("k", "1"));
        const other = subject.log.append([event("a")], once("k", "2"));
        await expect(other).rejects.toMatchObject({ code: "idempotency_conflict" });
        await first;
        await subject.settle();
        await expect(subject.log.append([event("a")], once("k", "2"))).rejects.toMatchObject({
          code: "idempotency_conflict",
        });
        expect(subject.log.tail).toBe(1);
      });

      test("forgets the key of an append that failed", async () => {
        await using subject = await start();
        const bad = { ...event("a"), retry: -1 };
        await expect(subject.log.append([bad], once("k"))).rejects.toMatchObject({ code: "invalid_event" });
        expect(await subject.log.append([event("a")], once("k", "other"))).toEqual({ first: 1, count: 1 });
      });

      test("forgets a key after keyAgeMs", async () => {
        await using subject = await start({ retention: { keyAgeMs: 30 } });
        await subject.log.append([event("a")], once("k"));
        await subject.settle();
        const bornMs = Date.now();
        await until("the key is old", () => Date.now() > bornMs + 40);
        expect(await subject.log.append([event("a")], once("k", "other"))).toEqual({ first: 2, count: 1 });
        await subject.settle();
        expect(subject.log.tail).toBe(2);
      });
    });

    describe("reading", () => {
      async function filled() {
        const subject = await start();
        const channels = ["a", "b", "a/x", "a/y", "a/x/z", "@user/1", "a", "@user/2", "b/1", "a/"];
        await subject.log.append(channels.slice(0, 4).map((channel, at) => event(channel, String(at + 1))));
        await subject.log.append(channels.slice(4).map((channel, at) => event(channel, String(at + 5))));
        await subject.settle();
        return subject;
      }

      test.each([
        [["a"], "1 7"],
        [["b", "a"], "1 2 7"],
        [["a/*"], "3 4 5"],
        [["a/x/*"], "5"],
        [["a", "a/*"], "1 3 4 5 7"],
        [["*"], "1 2 3 4 5 7 9 10"],
        [["nothing"], ""],
        [["nothing/*"], ""],
        [["@user/1"], "6"],
        [["@user/1", "@user/2", "b/*"], "6 8 9"],
        [["@user/1", "*"], "1 2 3 4 5 6 7 9 10"],
        [["@user/*"], ""],
        [["@*"], ""],
      ])("%j gives its entries in order", async (patterns, expected) => {
        await using subject = await filled();
        expect((await dataIn(subject.log, ...patterns)).join(" ")).toBe(expected);
      });

      test("goes on from any sequence", async () => {
        await using subject = await filled();
        for (let after = 0; after <= 12; after++) {
          const { entries } = await readAll(subject.log, select("a", "b/*"), after);
          expect(entries.map(({ sequence }) => sequence)).toEqual([1, 7, 9].filter((sequence) => sequence > after));
        }
      });

      test("stops at its limit, but not before one entry, and goes on from next", async () => {
        await using subject = await start();
        const sizes = [10, 2000, 10, 10, 5000, 10];
        await subject.log.append(sizes.map((size, at) => event(`c${at % 2}`, "x".repeat(size))));
        await subject.settle();
        for (const limitBytes of [1, 100, 300, 2200, 8000, 1e6]) {
          let after = 0;
          const seen: number[] = [];
          while (after < subject.log.tail) {
            const { entries, next } = await subject.log.read({ selection: select("*"), after, limitBytes });
            const bytes = entries.reduce((sum, { start, end }) => sum + end - start, 0);
            expect(entries.length <= 1 || bytes <= limitBytes).toBe(true);
            expect(next).toBeGreaterThan(after);
            seen.push(...entries.map(({ sequence }) => sequence));
            after = next;
          }
          expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
        }
      });

      test("answers the tail as next when nothing is left", async () => {
        await using subject = await filled();
        const { entries, next, gap } = await subject.log.read({ selection: select("b"), after: 2, limitBytes: 1e6 });
        expect({ entries, next, gap }).toEqual({ entries: [], next: 10, gap: undefined });
      });
    });

    describe("rewind", () => {
      test("finds where the newest entries of the merged selection begin", async () => {
        await using subject = await start();
        await subject.log.append(["a", "b", "a", "c", "b", "a", "@user/1"].map((channel) => event(channel)));
        await subject.settle();
        const { log } = subject;
        expect(await log.rewind(select("a", "b"), 0)).toBe(7);
        expect(await log.rewind(select("a", "b"), 1)).toBe(5);
        expect(await log.rewind(select("a", "b"), 3)).toBe(2);
        expect(await log.rewind(select("a", "b"), 5)).toBe(0);
        expect(await log.rewind(select("a", "b"), 100)).toBe(0);
        expect(await log.rewind(select("*"), 2)).toBe(4);
        expect(await log.rewind(select("none"), 2)).toBe(0);
      });
    });

    describe("positions", () => {
      test("are found again, exactly", async () => {
        await using subject = await start();
        const positions = [subject.log.position(0)];
        for (let sequence = 1; sequence <= 5; sequence++) {
          await subject.log.append([event("a")]);
          positions.push(subject.log.position(sequence));
        }
        await subject.settle();
        await subject.log.append([event("a")]);
        await subject.settle();
        for (const [sequence, position] of positions.entries()) {
          expect(subject.log.locate(position)).toEqual({ sequence, lost: "no" });
          expect(subject.log.position(sequence)).toBe(position);
        }
        const { entries } = await readAll(subject.log);
        for (const entry of entries) {
          expect(subject.log.locate(fields(entry).id ?? "")).toEqual({ sequence: entry.sequence, lost: "no" });
        }
      });

      test("that it never gave are lost", async () => {
        await using subject = await start();
        await subject.log.append([event("a"), event("a")]);
        const { log } = subject;
        const position = log.position(2);
        for (const strange of ["", "x", "0-0", "abcdefgh-1", `${position}0000000000000000000`, "-", `${position} `]) {
          expect(log.locate(strange)).toEqual({ sequence: 0, lost: "yes" });
        }
        expect(log.locate(position.replace("-2", "-9"))).toEqual({ sequence: 2, lost: "yes" });
      });
    });

    describe("retention", () => {
      test("by count keeps the newest of each channel", async () => {
        await using subject = await start({ retention: { events: 3 } });
        for (let n = 1; n <= 10; n++)
          await subject.log.append([event("a", `a${n}`), event(n === 1 ? "b" : "c", `b${n}`)]);
        await subject.settle();
        expect(await dataIn(subject.log, "a")).toEqual(["a8", "a9", "a10"]);
        expect(await dataIn(subject.log, "b")).toEqual(["b1"]);
        expect(subject.log.stats()).toMatchObject({ channels: 3, entries: 7 });
      });

      test("by bytes of a channel keeps what fits, and the newest whatever its size", async () => {
        await using subject = await start({ retention: { channelBytes: 1000 } });
        await subject.log.append([event("b", "small")]);
        for (let n = 1; n <= 10; n++) await subject.log.append([event("a", `${n}${"x".repeat(300)}`)]);
        expect((await dataIn(subject.log, "a")).length).toBe(2);
        await subject.log.append([event("a", "y".repeat(5000))]);
        await subject.settle();
        expect(await dataIn(subject.log, "a")).toEqual(["y".repeat(5000)]);
        expect(await dataIn(subject.log, "b")).toEqual(["small"]);
      });

      test("by bytes in all drops the oldest, whatever their channel", async () => {
        await using subject = await start({ retention: { totalBytes: 20_000 } });
        for (let n = 1; n <= 300; n++) await subject.log.append([event(`c${n % 7}`, `${n}`.padStart(100, "x"))]);
        await subject.settle();
        const { bytes, entries } = subject.log.stats();
        expect(bytes).toBeLessThanOrEqual(20_000);
        expect(bytes).toBeGreaterThan(19_000);
        const kept = (await readAll(subject.log)).entries.map(({ sequence }) => sequence);
        expect(kept).toEqual(Array.from({ length: entries }, (_, at) => 300 - entries + 1 + at));
      });

      test("by age drops what is too old, and only that", async () => {
        await using subject = await start({ retention: { ageMs: 300 } });
        await subject.log.append([event("a", "old"), event("b", "old")]);
        await subject.settle();
        const bornMs = Date.now();
        await until("half of the time has passed", () => Date.now() > bornMs + 200);
        await subject.log.append([event("a", "young")]);
        const youngMs = Date.now();
        await until("the old ones are gone", () => subject.log.stats().entries < 3);
        const data = await dataIn(subject.log, "*");
        if (Date.now() < youngMs + 300) expect(data).toEqual(["young"]);
        expect((await subject.log.read({ selection: select("b"), after: 0, limitBytes: 1 })).gap).toEqual({
          may: false,
          channels: ["b"],
        });
      });
    });

    describe("policies", () => {
      const answers = { channels: "answers/*", retention: { events: 2 } };

      test("bound the channels they hold, and no other", async () => {
        await using subject = await start({ retention: { events: 4 }, policies: [answers] });
        const names = ["answers/1", "answers/1/deep", "answers", "answersx/1", "news"];
        for (let n = 1; n <= 6; n++) await subject.log.append(names.map((name) => event(name, String(n))));
        await subject.settle();
        expect(await dataIn(subject.log, "answers/1")).toEqual(["5", "6"]);
        expect(await dataIn(subject.log, "answers/1/deep")).toEqual(["5", "6"]);
        for (const name of ["answers", "answersx/1", "news"]) {
          expect(await dataIn(subject.log, name)).toEqual(["3", "4", "5", "6"]);
        }
      });

      test("count in their order, and leave the rest to the retention of all", async () => {
        const policies = [
          { channels: "a/one", retention: { events: Infinity } },
          { channels: "a/*", retention: { bytes: 400 } },
          { channels: "@user/*", retention: { events: 1 } },
          { channels: "*", retention: {} },
        ];
        await using subject = await start({ retention: { events: 3 }, policies });
        const names = ["a/one", "a/two", "b", "@user/1", "@role/1"];
        for (let n = 1; n <= 5; n++) {
          await subject.log.append(names.map((name) => event(name, `${n}${"x".repeat(name === "a/two" ? 150 : 0)}`)));
        }
        await subject.settle();
        const numbers = async (name: string) => (await dataIn(subject.log, name)).map((data) => data?.[0]).join("");
        expect(await numbers("a/one")).toBe("12345");
        expect(await numbers("a/two")).toBe("5");
        expect(await numbers("b")).toBe("345");
        expect(await numbers("@user/1")).toBe("5");
        expect(await numbers("@role/1")).toBe("345");
      });

      test("let one channel grow old and another not, and the gaps are said", async () => {
        const policies = [
          { channels: "short/*", retention: { ageMs: 200 } },
          { channels: "long", retention: { ageMs: Infinity } },
        ];
        await using subject = await start({ retention: { ageMs: 3600_000 }, policies });
        for (const name of ["long", "short/1", "other", "short/2"]) await subject.log.append([event(name)]);
        await subject.settle();
        await until("what is short is gone", () => subject.log.stats().entries === 2);
        await subject.settle();
        const { log } = subject;
        await until("it is gone for good", () => log.stats().entries === 2); // a crash may bring it back
        await log.append([event("short/1", "new")]);
        expect(await dataIn(log, "long")).toEqual(["x"]);
        const gapOf = async (...patterns: string[]) =>
          (await log.read({ selection: select(...patterns), after: 0, limitBytes: 1e6 })).gap;
        expect(await gapOf("short/1")).toEqual({ may: false, channels: ["short/1"] });
        expect((await gapOf("*"))?.channels.toSorted()).toEqual(["short/1", "short/2"]);
        expect(await gapOf("long", "other")).toBeUndefined();
      });

      test("do not make what is kept for longer be forgotten with what is not", async () => {
        const policies = [{ channels: "short/*", retention: { ageMs: 40 } }];
        await using subject = await start({ retention: { ageMs: 3600_000, memoryAgeMs: 40 }, policies });
        await subject.log.append([event("long", "1"), event("short/1"), event("short/2")]);
        await until("the short ones are forgotten", () => subject.log.stats().channels === 1);
        await subject.settle();
        await subject.log.append([event("long", "2")]);
        await subject.settle();
        const { log } = subject;
        await until("they are forgotten for good", () => log.stats().channels === 1);
        expect(await dataIn(log, "long")).toEqual(["1", "2"]);
        const gapOf = async (name: string) =>
          (await log.read({ selection: select(name), after: 0, limitBytes: 1e6 })).gap;
        expect(await gapOf("long")).toBeUndefined();
        expect(await gapOf("short/2")).toEqual({ may: true, channels: [] });
      });

      test("cannot keep more than the bytes in all", async () => {
        const policies = [{ channels: "kept", retention: { events: Infinity, bytes: Infinity, ageMs: Infinity } }];
        await using subject = await start({ retention: { totalBytes: 10_000 }, policies });
        for (let n = 1; n <= 200; n++) await subject.log.append([event("kept", "x".repeat(100)), event("other")]);
        await subject.settle();
        const { bytes } = subject.log.stats();
        expect(bytes).toBeLessThanOrEqual(10_000);
        expect(bytes).toBeGreaterThan(9000);
      });

      test("leave alone what is written down of runs, as do all other bounds", async () => {
        const policies = [{ channels: "*", retention: { events: 1, ageMs: 40 } }];
        const retention = { events: 1, ageMs: 40, channelBytes: 1, totalBytes: 10_000 };
        await using subject = await start({ retention, policies });
        const text = "x".repeat(100);
        for (let n = 1; n <= 200; n++) await subject.log.append([own("@runs", String(n)), event(`c/${n}`, text)]);
        expect(await dataIn(subject.log, "@runs")).toHaveLength(200);
        expect((await dataIn(subject.log, "c/200")).length).toBe(1); // nor do they take the room of others
        await until("all else is too old", () => subject.log.stats().entries === 200);
        await subject.settle();
        await until("all else is too old", () => subject.log.stats().entries === 200);
        expect(await dataIn(subject.log, "@runs")).toHaveLength(200);
      });

      const wrong: [string, unknown, RegExp][] = [
        ["no pattern", { retention: {} }, /policies\[0\]\.channels/],
        ["a star in the middle", { channels: "a/*/b", retention: {} }, /"prefix\/\*"/],
        ["a star behind a letter", { channels: "a*", retention: {} }, /"prefix\/\*"/],
        ["all personal channels", { channels: "@*", retention: {} }, /"prefix\/\*"/],
        ["what is written down of runs", { channels: "@runs", retention: { events: 1 } }, /Millrace keeps for itself/],
        ["a line end", { channels: "a\nb", retention: {} }, /channels is "a\\nb"/],
        ["a long name", { channels: "ä".repeat(129), retention: {} }, /256 bytes/],
        ["no retention", { channels: "a" }, /a policy is such as/],
        ["another member", { channels: "a", retention: {}, limits: {} }, /a policy is such as/],
        ["another bound", { channels: "a", retention: { channelBytes: 1 } }, /known are events, ageMs, bytes/],
        ["no event at all", { channels: "a", retention: { events: 0 } }, /1 or more/],
        ["half an event", { channels: "a", retention: { events: 1.5 } }, /whole number/],
        ["an age that is text", { channels: "a", retention: { ageMs: "1h" } }, /ageMs is "1h": it is a number/],
        ["no bytes", { channels: "a", retention: { bytes: Number.NaN } }, /bytes is NaN/],
      ];
      test.each(wrong)("with %s are refused", async (_, policy, message) => {
        const options = { policies: [policy as RetentionPolicy] };
        await expect(start(options)).rejects.toMatchObject({ code: "invalid_option" });
        await expect(start(options)).rejects.toThrow(message);
      });

      test.each([
        ["*", "answers/*"],
        ["answers/*", "answers/1"],
        ["answers/*", "answers/1/*"],
        ["news", "news"],
      ])("that none reaches are refused: %s before %s", async (first, second) => {
        const policies = [first, second].map((channels) => ({ channels, retention: {} }));
        await expect(start({ policies })).rejects.toThrow(/put it in front/);
        await using _subject = await start({ policies: [...policies.reverse().slice(0, 1)] });
      });
    });

    describe("gaps", () => {
      const gapOf = async (subject: { log: Log }, after: number, ...patterns: string[]) =>
        (await subject.log.read({ selection: select(...patterns), after, limitBytes: 1e6 })).gap;

      test("are said exactly when something of the selection behind the cursor was dropped", async () => {
        await using subject = await start({ retention: { events: 2 } });
        // a: 1 3 5 7, b: 2, @user/1: 4 6 8; dropped: 1 3 4
        for (const channel of ["a", "b", "a", "@user/1", "a", "@user/1", "a", "@user/1"])
          await subject.log.append([event(channel)]);
        await subject.settle();
        const a = { may: false, channels: ["a"] };
        expect(await gapOf(subject, 0, "a")).toEqual(a);
        expect(await gapOf(subject, 2, "a")).toEqual(a);
        expect(await gapOf(subject, 3, "a")).toBeUndefined();
        expect(await gapOf(subject, 0, "b")).toBeUndefined();
        expect(await gapOf(subject, 2, "*")).toEqual(a);
        expect(await gapOf(subject, 3, "*")).toBeUndefined();
        expect(await gapOf(subject, 3, "@user/1", "*")).toEqual({ may: false, channels: ["@user/1"] });
        expect(await gapOf(subject, 0, "@user/1", "a")).toEqual({ may: false, channels: ["@user/1", "a"] });
        expect(await gapOf(subject, 0, "never")).toBeUndefined();
      });

      test("that a reader knows of are not said again", async () => {
        await using subject = await start({ retention: { events: 1 } });
        await subject.log.append([event("a"), event("a"), event("b")]);
        await subject.settle();
        const { log } = subject;
        const read = (knownDrops: number, ...patterns: string[]) =>
          log.read({ selection: select(...patterns), after: 0, limitBytes: 1e6, knownDrops });
        const known = log.drops;
        expect((await read(known, "*")).gap).toBeUndefined();
        await log.append([event("b")]);
        expect((await read(known, "*")).gap).toEqual({ may: false, channels: ["b"] });
        expect((await read(known, "a")).gap).toBeUndefined();
        expect((await read(log.drops, "*")).gap).toBeUndefined();
        expect((await read(-1, "*")).gap).toEqual({ may: false, channels: ["a", "b"] });
      });

      test("name a hundred channels at most", async () => {
        await using subject = await start({ retention: { events: 1 } });
        await subject.log.append(Array.from({ length: 300 }, (_, at) => event(`c/${at % 150}`)));
        await subject.settle();
        expect((await gapOf(subject, 0, "*"))?.channels).toHaveLength(100);
      });

      test("are 'may' for channels that are remembered no longer, also when they come again", async () => {
        await using subject = await start({ retention: { ageMs: 40, memoryAgeMs: 40 } });
        await subject.log.append([event("gone"), event("gone")]);
        await until("it is forgotten", () => subject.log.stats().channels === 0);
        expect(subject.log.stats()).toMatchObject({ channels: 0, entries: 0, bytes: 0 });
        const known = subject.log.drops;
        const may = { may: true, channels: [] };
        expect(await gapOf(subject, 1, "gone")).toEqual(may);
        expect(await gapOf(subject, 1, "*")).toEqual(may);
        expect(await gapOf(subject, 1, "other")).toEqual(may);
        expect(await gapOf(subject, 2, "gone")).toBeUndefined();
        const { gap } = await subject.log.read({ selection: select("*"), after: 0, limitBytes: 1, knownDrops: known });
        expect(gap).toBeUndefined();
        await subject.log.append([event("gone")]);
        expect(await gapOf(subject, 1, "gone")).toEqual(may);
        expect(await gapOf(subject, 2, "gone")).toBeUndefined();
      });

      test("are not said of what cannot have been forgotten: what is broadcast, and a connection's own", async () => {
        await using subject = await start({ retention: { ageMs: 40, memoryAgeMs: 40 } });
        await subject.log.append([event("gone"), own("@all"), event("@connection/1"), event("gone")]);
        await until("it is forgotten", () => subject.log.stats().channels === 1);
        await subject.settle();
        await until("it is forgotten for good", () => subject.log.stats().channels === 1); // a crash may bring it back
        expect(await gapOf(subject, 1, "@connection/2")).toBeUndefined();
        expect(await gapOf(subject, 1, "@all", "@connection/2")).toEqual({ may: false, channels: ["@all"] });
        expect(await gapOf(subject, 2, "@all", "@connection/2")).toBeUndefined();
        await subject.log.append([event("@connection/2")]);
        expect(await gapOf(subject, 2, "@all", "@connection/2")).toBeUndefined();
        expect(await gapOf(subject, 2, "never")).toEqual({ may: true, channels: [] });
      });
    });

    describe("conflated", () => {
      /** Small enough for many keys on many channels, and read in parts. */
      const tick = (channel: string, key: string | undefined, data: unknown) =>
        event(channel, data, key === undefined ? {} : { key });
      const latest = async (log: Log, patterns: string[], after = 0, limitBytes = 64 * 1024) =>
        dataOf((await readAll(log, select(...patterns), after, limitBytes, true)).entries).join(" ");

      test("leaves out what has a newer entry with its key in its channel, and nothing else", async () => {
        await using subject = await start();
        await subject.log.append([tick("a", "k", 1), tick("a", "l", 2), tick("b", "k", 3), tick("a", undefined, 4)]);
        await subject.log.append([tick("a", "k", 5), tick("a", undefined, 6), tick("b/1", "k", 7), tick("a", "K", 8)]);
        await subject.settle();
        expect(await latest(subject.log, ["a"])).toBe("2 4 5 6 8");
        expect(await latest(subject.log, ["a"], 2)).toBe("4 5 6 8");
        expect(await latest(subject.log, ["a"], 5, 1)).toBe("6 8");
        expect(await latest(subject.log, ["b", "b/*"])).toBe("3 7");
        expect(await latest(subject.log, ["*"], 0, 1)).toBe("2 3 4 5 6 7 8");
        expect((await dataIn(subject.log, "a")).join(" ")).toBe("1 2 4 5 6 8");
        await subject.log.append([tick("a", "l", 9)]);
        expect(await latest(subject.log, ["a"])).toBe("4 5 6 8 9");
        await subject.settle();
        expect(await latest(subject.log, ["a"], 1)).toBe("4 5 6 8 9");
      });

      test("answers the tail as next when all that is left has been replaced", async () => {
        await using subject = await start();
        await subject.log.append([tick("b", "k", 1), tick("a", "k", 2), tick("a", "k", 3), tick("b", "k", 4)]);
        await subject.settle();
        const read = { selection: select("a"), after: 0, limitBytes: 1, conflate: true };
        const { entries, next } = await subject.log.read(read);
        expect(dataOf(entries)).toEqual(["3"]);
        expect(next).toBe(4);
      });

      test("says a gap only for what nothing newer has replaced", async () => {
        await using subject = await start({ retention: { events: 2 } });
        const { log } = subject;
        const gap = async (after: number, conflate = true, knownDrops = -1) =>
          (await log.read({ selection: select("*"), after, limitBytes: 1, conflate, knownDrops })).gap?.channels;
        await log.append([tick("a", "k", 1), tick("a", "k", 2), tick("a", "k", 3), tick("a", "l", 4)]);
        await log.append([tick("a", "k", 5), tick("a", "k", 6)]); // 4 goes, the only one with its key
        expect(await gap(0)).toEqual(["a"]);
        expect(await gap(3)).toEqual(["a"]);
        expect(await gap(4)).toBeUndefined();
        const known = log.drops;
        expect(await gap(0, true, known)).toBeUndefined();
        await log.append([tick("a", "k", 7), tick("a", "k", 8)]);
        expect(await gap(4)).toBeUndefined();
        expect(await gap(0, true, known)).toBeUndefined();
        expect(await gap(4, false)).toEqual(["a"]);
        expect(await gap(0, false, known)).toEqual(["a"]);
        await log.append([tick("a", undefined, 9), tick("a", undefined, 10)]); // 8 goes, the latest of its key
        expect(await gap(7)).toEqual(["a"]);
        expect(await gap(8)).toBeUndefined();
        expect(await gap(0, true, known)).toEqual(["a"]);
      });

      test("finds a thousand keys in a long backlog without a visit to the rest", async () => {
        const entries = 100_000;
        await using subject = await start();
        for (let from = 0; from < entries; from += 1000) {
          const batch = Array.from({ length: 1000 }, (_, at) => tick("prices", `symbol ${at}`, from + at));
          await subject.log.append(batch);
        }
        await subject.settle();
        const selection = select("prices");
        await readAll(subject.log, selection, 0, 1e6, true); // reads the keys, if they were not
        const timed = async (conflate: boolean) => {
          const startMs = performance.now();
          const { length } = (await readAll(subject.log, selection, 0, 1e6, conflate)).entries;
          return { length, ms: performance.now() - startMs };
        };
        type Timed = Awaited<ReturnType<typeof timed>>;
        const runs: { conflated: Timed; plain: Timed }[] = [];
        for (let n = 0; n < 3; n++) runs.push({ conflated: await timed(true), plain: await timed(false) });
        for (const { conflated, plain } of runs) {
          expect({ conflated: conflated.length, plain: plain.length }).toEqual({ conflated: 1000, plain: entries });
        }
        const best = (kind: "conflated" | "plain") => Math.min(...runs.map((run) => run[kind].ms));
        expect(best("conflated") * 5).toBeLessThan(best("plain"));
      });

      test("gives the latest of each key behind any place, while more is appended", async () => {
        await using subject = await start({ retention: { events: 400 } });
        const seed = Math.floor(Math.random() * 2 ** 31);
        const random = mulberry(seed);
        const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
        const channels = ["a", "a/x", "b", "c/y"];
        const published: { channel: string; key: string | undefined; data: string }[] = [];
        const append = async (count: number) => {
          const batch = Array.from({ length: count }, (_, at) => ({
            channel: pick(channels),
            key: random() < 0.2 ? undefined : `key ${Math.floor(random() ** 3 * 60)}`,
            data: `${published.length + at + 1} ${"x".repeat(random() * 50)}`,
          }));
          published.push(...batch);
          await subject.log.append(batch.map(({ channel, key, data }) => tick(channel, key, data)));
        };
        for (let round = 0; round < 40; round++) {
          await append(1 + Math.floor(random() * 60));
          if (random() < 0.2) await subject.settle();
          const patterns = pick([["a"], ["a", "a/*"], ["*"], ["b", "c/*"], ["a/x", "nothing"]]);
          const after = Math.floor(random() ** 2 * subject.log.tail);
          const limitBytes = pick([1, 200, 1500, 1e6]);
          const selection = select(...patterns);
          const held = new Map<string, string>();
          const got: number[] = [];
          let { entries, next } = await subject.log.read({ selection, after, limitBytes, conflate: true });
          const place = ({ channel, key }: { channel: string; key: string | undefined }) =>
            JSON.stringify([channel, key]);
          let appends = 0;
          for (;;) {
            for (const entry of entries) {
              const data = fields(entry).data ?? "";
              if (entry.key !== undefined) held.set(place(entry), data);
              got.push(entry.sequence);
            }
            if (next >= subject.log.tail) break;
            if (appends++ < 3 && random() < 0.5) await append(1 + Math.floor(random() * 5));
            ({ entries, next } = await subject.log.read({ selection, after: next, limitBytes, conflate: true }));
          }
          expect(got, `seed ${seed}`).toEqual([...new Set(got)].sort((x, y) => x - y));
          const expected = new Map<string, string>();
          const unkeyed: number[] = [];
          const retained = new Set((await readAll(subject.log, selection)).entries.map(({ sequence }) => sequence));
          for (const [at, { channel, key, data }] of published.entries()) {
            if (at + 1 <= after || !retained.has(at + 1)) continue;
            if (key !== undefined) expected.set(place({ channel, key }), data);
            else unkeyed.push(at + 1);
          }
          expect(got, `seed ${seed}`).toEqual(expect.arrayContaining(unkeyed));
          if (appends === 0) expect(got.length, `seed ${seed}`).toBe(expected.size + unkeyed.length);
          for (const [key, data] of expected) expect(held.get(key), `seed ${seed}, ${key}`).toBe(data);
        }
      });
    });

    describe("closing", () => {
      test("finishes what was appended, and refuses what comes after", async () => {
        await using subject = await start();
        const { log } = subject;
        const before = Array.from({ length: 20 }, () => log.append([event("a")]));
        const closed = log.close();
        await expect(log.append([event("a")])).rejects.toMatchObject({ code: "closed" });
        await closed;
        expect((await Promise.all(before)).map(({ first }) => first)).toEqual(before.map((_, at) => at + 1));
        expect(() => log.read({ selection: select("*"), after: 0, limitBytes: 1 })).toThrow(
          expect.objectContaining({ code: "closed" }),
        );
        await log.close();
      });

      test("from within a commit finishes too", async () => {
        await using subject = await start();
        const { log } = subject;
        let closed: Promise<void> | undefined;
        log.onCommit(() => {
          closed ??= log.close();
        });
        const large = Array.from({ length: 9 }, () => log.append([event("a", "x".repeat(2 ** 20))]));
        expect((await Promise.all(large)).map(({ first }) => first)).toEqual(large.map((_, at) => at + 1));
        await closed;
      });
    });
  });
}
