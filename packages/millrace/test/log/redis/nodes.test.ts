import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Entry } from "../../../src/log/index.js";
import { openRedisLog } from "../../../src/log/redis/index.js";
import { Session } from "../../../src/log/redis/session.js";
import { mulberry } from "../../mulberry.js";
import { dataOf, event, fields, readAll, select, until } from "../support.js";
import { losing, newPrefix, opener } from "./nodes.js";
import { redisAvailable, startRedis, type TestRedis } from "./server.js";

const redis = redisAvailable();

describe.skipIf(!redis.available)("logs of many nodes on one Redis", { meta: { skipReason: redis.reason } }, () => {
  let server: TestRedis;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  const topics = async (prefix: string): Promise<string[]> => {
    const found = (await server.command("PUBSUB", "CHANNELS", `${prefix}*`)) as string[];
    return found.map((topic) => topic.slice(prefix.length)).sort();
  };

  test("see one order and the same ids, whoever appends", async () => {
    const { open } = opener(server);
    const logs = await Promise.all([open(), open(), open()]);
    const seen = logs.map((log) => {
      const ids: string[] = [];
      log.onCommit((entries) => ids.push(...entries.map((entry) => fields(entry).id ?? "")));
      return ids;
    });
    const appended: Promise<unknown>[] = [];
    const ids = new Set<string>();
    for (let n = 0; n < 300; n++) {
      for (const [at, log] of logs.entries()) {
        const append = log.append([event(`c/${n % 5}`, `${at}-${n}`), event("all", `${n}`)]);
        appended.push(append.then(({ first }) => ids.add(log.position(first)).add(log.position(first + 1))));
      }
      if (n % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(appended);
    expect(ids.size).toBe(1800);
    await until("all have seen all", () => seen.every(({ length }) => length === 1800));
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
    expect(new Set(seen[0])).toEqual(ids);
    for (const log of logs) {
      const { entries } = await readAll(log);
      expect(entries.map((entry) => fields(entry).id)).toEqual(seen[0]);
    }
    await Promise.all(logs.map((log) => log.close()));
  });

  test("a repeat with an idempotency key adds nothing, at another node too", async () => {
    const { open } = opener(server);
    const [one, other] = await Promise.all([open(), open()]);
    const idempotency = { key: "once ü\n", digest: "d" };
    const first = await one.append([event("a", "1"), event("a", "2")], { idempotency });
    expect(await other.append([event("a", "1"), event("a", "2")], { idempotency })).toEqual({
      ...first,
      repeated: true,
    });
    await expect(other.append([event("a")], { idempotency: { ...idempotency, digest: "e" } })).rejects.toMatchObject({
      code: "idempotency_conflict",
    });
    await other.shared?.refresh();
    expect(dataOf((await readAll(other)).entries)).toEqual(["1", "2"]);
    await Promise.all([one.close(), other.close()]);
  });

  test("a node listens in Redis to what it follows, and to nothing else", async () => {
    const { open, prefix } = opener(server);
    const [one, other] = await Promise.all([open(), open()]);
    const got: string[] = [];
    one.onCommit((entries) => got.push(...(dataOf(entries) as string[])));
    const follows = [select("news", "@user/x"), select("r[o]?ms/*")].map((each) => one.shared?.follow(each));
    await until("it follows", () => follows.every((each) => each?.live));
    expect(await topics(prefix)).toEqual(["c:news", "e", "p:@user/x"]);
    const names = ["news", "other", "r[o]?ms/1", "rooms/1", "r[o]?ms", "@user/x", "@user/y", "r[o]?ms/1/2", "news/1"];
    await other.append(names.map((channel) => event(channel, channel)));
    await until("what it follows has come", () => got.length >= 4);
    await one.shared?.refresh();
    expect(got).toEqual(["news", "r[o]?ms/1", "@user/x", "r[o]?ms/1/2"]);
    expect(one.tail).toBe(other.tail);
    await Promise.all([one.close(), other.close()]);
  });

  test("what is followed by name and by prefix comes once", async () => {
    const { open } = opener(server);
    const [one, other] = await Promise.all([open(), open()]);
    const got: string[] = [];
    one.onCommit((entries) => got.push(...(dataOf(entries) as string[])));
    const follows = [select("a/x"), select("a/*"), select("*")].map((selection) => one.shared?.follow(selection));
    await until("it follows", () => follows.every((each) => each?.live));
    for (let n = 0; n < 20; n++) await other.append([event("a/x", `${n}`), event("b", `b${n}`)]);
    await until("all has come", () => got.length >= 40);
    await one.shared?.refresh();
    expect(got).toEqual(Array.from({ length: 20 }, (_, n) => [`${n}`, `b${n}`]).flat());
    await Promise.all([one.close(), other.close()]);
  });

  test("a follower reads what came before, and is then given the rest, with nothing between", async () => {
    const { open } = opener(server);
    const [one, other] = await Promise.all([open(), open()]);
    let stop = false;
    let written = 0;
    const writing = (async () => {
      while (!stop) await other.append([event(`c/${written % 3}`, `${written++}`)]);
    })();
    const committed: Entry[] = [];
    one.onCommit((entries) => committed.push(...entries));
    for (let round = 0; round < 20; round++) {
      const pattern = round % 2 === 0 ? "c/1" : "c/*";
      const following = one.shared?.follow(select(pattern));
      const got: string[] = [];
      let after = 0;
      for (;;) {
        const { entries, next } = await one.read({ selection: select(pattern), after, limitBytes: 1e6 });
        got.push(...(dataOf(entries) as string[]));
        after = next;
        if (after === one.tail && following?.live) break;
      }
      const from = committed.length;
      const own = () => committed.slice(from).filter(({ channel }) => (pattern === "c/1" ? channel === "c/1" : true));
      await until("more has come", () => own().length > 5);
      got.push(...(dataOf(own()) as string[]));
      const numbers = got.map(Number);
      const step = pattern === "c/1" ? 3 : 1;
      expect(numbers).toEqual(numbers.map((_, at) => (pattern === "c/1" ? 1 : 0) + at * step));
      following?.end();
    }
    stop = true;
    await writing;
    await Promise.all([one.close(), other.close()]);
  });

  test("messages that never come are noticed and read, the last one too", async () => {
    const { open } = opener(server);
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = mulberry(seed);
    let rate = 0.3;
    let lost = 0;
    const one = await open(
      {},
      losing(server.client(), (topic) => {
        if (topic.endsWith(":e") || random() >= rate) return false;
        lost++;
        return true;
      }),
    );
    const other = await open();
    const got = new Map<string, string[]>();
    const note = (entries: readonly Entry[]) => {
      for (const entry of entries) {
        const data = fields(entry).data ?? "";
        got.set(entry.channel, [...(got.get(entry.channel) ?? []), data]);
      }
    };
    one.onCommit(note);
    one.shared?.onLate(note);
    const follows = [select("a", "b"), select("c/*")].map((selection) => one.shared?.follow(selection));
    await until("it follows", () => follows.every((each) => each?.live));
    const channels = ["a", "b", "c/1", "c/2"];
    const sent = new Map<string, string[]>(channels.map((channel) => [channel, []]));
    for (let n = 0; n < 300; n++) {
      const channel = channels[Math.floor(random() * 4)] as string;
      const log = random() < 0.3 ? one : other;
      await log.append([event(channel, `${n}`)]);
      sent.get(channel)?.push(`${n}`);
    }
    rate = 1;
    for (const channel of channels) {
      await other.append([event(channel, "last")]);
      sent.get(channel)?.push("last");
    }
    await until("the last ones are found", () => channels.every((channel) => got.get(channel)?.at(-1) === "last"));
    expect(got, `seed ${seed}`).toEqual(sent);
    expect(lost).toBeGreaterThan(50);
    await Promise.all([one.close(), other.close()]);
  });

  test("what is followed again just as it is given up comes on", async () => {
    const messages: string[] = [];
    const session = await Session.open({
      source: server.client(),
      prefix: "again:",
      onMessage: ({ channel }) => messages.push(channel),
      onEnd: () => {},
    });
    const told = () => server.command("PUBLISH", "again:c:a/b", Buffer.alloc(40).toString());
    await session.subscribe(["a/b"], ["a/"]);
    await told();
    await until("both have come", () => messages.length === 2);
    const gone = session.unsubscribe(["a/b"], ["a/"]);
    await session.subscribe(["a/b"], ["a/"]);
    await gone;
    await told();
    await until("both have come", () => messages.length === 4);
    await session.unsubscribe(["a/b"], ["a/"]);
    expect(await server.command("PUBSUB", "CHANNELS", "again:*")).toEqual([]);
    session.end(new Error("over"));
  });

  test("a node that has missed nothing reads the newest without asking Redis", async () => {
    const { open } = opener(server);
    const [one, other] = await Promise.all([open(), open()]);
    one.onCommit(() => {});
    const following = one.shared?.follow(select("a"));
    await until("it follows", () => following?.live ?? false);
    await other.append([event("a", "1"), event("b", "2"), event("a", "3")]);
    await until("it has come", () => one.tail >= 3);
    const slice = one.read({ selection: select("a"), after: 0, limitBytes: 1e6 });
    if (slice instanceof Promise) throw new Error("it asked");
    expect(dataOf(slice.entries)).toEqual(["1", "3"]);
    expect(one.isQuiet(["a"], 3)).toBe(true);
    expect(one.isQuiet(["a"], 2)).toBe(false);
    expect(one.isQuiet(["b"], 3)).toBe(false); // it is not followed, so nobody knows
    await Promise.all([one.close(), other.close()]);
  });

  test("retention is one for all nodes, and each node says the gap", async () => {
    const { open } = opener(server, { retention: { events: 3, ageMs: 60_000 } });
    const [one, other] = await Promise.all([open(), open()]);
    one.onCommit(() => {});
    const following = one.shared?.follow(select("a"));
    await until("it follows", () => following?.live ?? false);
    for (let n = 1; n <= 5; n++) await other.append([event("a", `${n}`)]);
    await until("all has come", () => one.tail === 5);
    for (const log of [one, other]) {
      const slice = await log.read({ selection: select("a"), after: 0, limitBytes: 1e6 });
      expect(dataOf(slice.entries)).toEqual(["3", "4", "5"]);
      expect(slice.gap).toEqual({ may: false, channels: ["a"] });
      expect((await log.read({ selection: select("a"), after: 2, limitBytes: 1e6 })).gap).toBeUndefined();
    }
    await Promise.all([one.close(), other.close()]);
  });

  test("other prefixes are other logs", async () => {
    const [one, other] = await Promise.all(
      [newPrefix(), newPrefix()].map((prefix) => openRedisLog(server.client(), { prefix, onNotice: () => {} })),
    );
    await one?.append([event("a")]);
    await other?.shared?.refresh();
    expect(other?.tail).toBe(0);
    await Promise.all([one?.close(), other?.close()]);
  });

  test("a Redis that evicts is refused, and options are checked", async () => {
    await using evicting = await startRedis(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    await expect(openRedisLog(evicting.client(), { onNotice: () => {} })).rejects.toMatchObject({
      code: "invalid_option",
      message: expect.stringContaining("noeviction"),
    });
    const wrong: [object, RegExp][] = [
      [{ prefix: "" }, /prefix/],
      [{ prefix: "a\r\nb" }, /prefix/],
      [{ wait: 1.5 }, /wait/],
      [{ waitMs: 0 }, /waitMs/],
      [{ waitMs: 5000 }, /less than timeoutMs/],
      [{ policies: [{ channels: "a*", retention: {} }] }, /policies\[0\]/],
    ];
    for (const [options, message] of wrong) {
      await expect(openRedisLog(server.client(), options)).rejects.toMatchObject({
        code: "invalid_option",
        message: expect.stringMatching(message),
      });
    }
  });

  test("a full Redis refuses, with nothing kept, and takes more once there is room", async () => {
    await using full = await startRedis(["--maxmemory", "6mb", "--maxmemory-policy", "noeviction"]);
    const { open } = opener(full, { retention: { ageMs: Infinity } });
    const log = await open();
    const large = "x".repeat(50_000);
    let kept = 0;
    for (;;) {
      const refused = await log.append([event("a", large), event("a", large)]).then(
        () => undefined,
        (error) => error as Error,
      );
      if (refused) {
        expect(refused).toMatchObject({ code: "store_full" });
        break;
      }
      kept += 2;
    }
    await log.shared?.refresh();
    expect(log.stats().entries).toBe(kept);
    await full.command("CONFIG", "SET", "maxmemory", "50mb");
    expect((await log.append([event("a", "more")])).count).toBe(1);
    await log.close();
  });

  test("a password is in no message", async () => {
    await using guarded = await startRedis(["--requirepass", "s3cret/pass"]);
    const notices: string[] = [];
    const { createClient } = await import("redis");
    const url = (password: string) => `redis://:${encodeURIComponent(password)}@127.0.0.1:${guarded.port}`;
    const log = await openRedisLog(createClient({ url: url("s3cret/pass") }), {
      prefix: newPrefix(),
      onNotice: (notice) => notices.push(notice),
    });
    await log.append([event("a")]);
    await guarded.kill();
    await until("it is told", () => notices.some((notice) => notice.includes("lost")));
    await log.close();
    await guarded.start();
    const refused = openRedisLog(createClient({ url: url("wr0ng/pass") }), { onNotice: () => {} });
    await expect(refused).rejects.toMatchObject({
      code: "store_failed",
      message: expect.stringContaining("WRONGPASS"),
    });
    const texts = [...notices, await refused.catch((error) => String(error.message) + String(error.cause))];
    expect(texts.join("\n")).not.toMatch(/s3cret|wr0ng/);
  });
});
