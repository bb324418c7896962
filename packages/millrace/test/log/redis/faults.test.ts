import { createClient } from "redis";
import { describe, expect, test } from "vitest";
import type { Appended, Log } from "../../../src/log/index.js";
import type { RedisClientLike } from "../../../src/log/redis/index.js";
import { dataOf, event, fields, readAll, select, until } from "../support.js";
import { opener } from "./nodes.js";
import { redisAvailable, startRedis, startSentinel, type TestRedis } from "./server.js";

const redis = redisAvailable();
const always = ["--appendonly", "yes", "--appendfsync", "always"];

/** What a log commits of what it follows, and what it says of resets. */
async function following(log: Log, ...patterns: string[]) {
  const seen: string[] = [];
  const resets: string[] = [];
  log.onCommit((entries) => seen.push(...(dataOf(entries) as string[])));
  log.shared?.onReset((lost) => resets.push(lost));
  const follow = log.shared?.follow(select(...patterns));
  await until("it follows", () => follow?.live ?? false);
  return { seen, resets };
}

const isBack = (log: Log) => until("it is back", () => log.stats().writable);
const isGone = (log: Log) => until("it is gone", () => !log.stats().writable);

describe.skipIf(!redis.available)("a log in a Redis that fails", { meta: { skipReason: redis.reason } }, () => {
  test("with appendfsync always: kill -9 loses nothing acknowledged, and no gap is said", async () => {
    await using server = await startRedis(always);
    const { open, notices } = opener(server);
    const [one, other] = await Promise.all([open(), open()]);
    const { seen, resets } = await following(one, "a", "b/*");
    const acknowledged: Appended[] = [];
    const codes = new Set<string>();
    let stop = false;
    let n = 0;
    const positions: string[] = [];
    const writing = (async () => {
      while (!stop) {
        const data = String(n++);
        await other.append([event(n % 2 ? "a" : "b/1", data)]).then(
          (appended) => {
            acknowledged.push(appended);
            positions.push(other.position(appended.first));
          },
          (error) => {
            codes.add(error.code);
            return new Promise((resolve) => setTimeout(resolve, 5));
          },
        );
      }
    })();
    for (let round = 0; round < 3; round++) {
      const count = acknowledged.length;
      await until("some are acknowledged", () => acknowledged.length > count + 50);
      await server.kill();
      await isGone(one);
      await server.start();
      await Promise.all([isBack(one), isBack(other)]);
    }
    stop = true;
    await writing;
    codes.delete("store_failed");
    expect([...codes]).toEqual([]); // what was under way is repeated, and acknowledged once
    await until("all has come", () => one.tail === other.tail);
    const { entries } = await readAll(one, select("a", "b/*"));
    const ids = entries.map((entry) => fields(entry).id);
    expect(ids).toEqual(expect.arrayContaining(positions));
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(dataOf(entries)).size).toBe(entries.length);
    expect(seen).toEqual(dataOf(entries));
    expect(resets).toEqual([]);
    for (const [at, position] of positions.entries()) {
      expect(one.locate(position)).toEqual({ sequence: acknowledged[at]?.first, lost: "no" });
    }
    expect(notices.filter((notice) => notice.includes("there again")).length).toBe(6);
    await Promise.all([one.close(), other.close()]);
  });

  test("started again without its data: a new epoch, sequences go on, and old positions are lost", async () => {
    await using server = await startRedis();
    const { open } = opener(server);
    const [one, other] = await Promise.all([open(), open()]);
    const { seen, resets } = await following(one, "a");
    for (let n = 1; n <= 10; n++) await other.append([event("a", `${n}`)]);
    await until("all has come", () => seen.length === 10);
    const old = one.position(7);
    await server.kill();
    await Promise.all([isGone(one), isGone(other)]);
    await server.start({ empty: true });
    await Promise.all([isBack(one), isBack(other)]);
    const { first } = await other.append([event("a", "new")]);
    expect(first).toBeGreaterThan(10);
    await until("it has come", () => seen.at(-1) === "new" || one.tail >= first);
    expect(resets.length).toBeGreaterThan(0);
    expect(new Set(resets)).toEqual(new Set(["may"]));
    expect(one.locate(old).lost).toBe("yes");
    expect(one.position(first)).toBe(other.position(first));
    const { entries } = await readAll(one, select("a"));
    expect(dataOf(entries)).toEqual(["new"]);
    const late = await open();
    expect(late.locate(old)).toEqual({ sequence: 0, lost: "yes" });
    expect(late.locate(one.position(first))).toEqual({ sequence: first, lost: "no" });
    await Promise.all([one.close(), other.close(), late.close()]);
  });

  test("started again with less than it had: who knows more is told, and no id is given twice", async () => {
    await using server = await startRedis();
    const { open } = opener(server);
    const [one, other] = await Promise.all([open(), open()]);
    const { resets } = await following(one, "a");
    for (let n = 1; n <= 5; n++) await other.append([event("a", `${n}`)]);
    await server.command("SAVE");
    for (let n = 6; n <= 9; n++) await other.append([event("a", `${n}`)]);
    await until("all has come", () => one.tail === 9);
    const [kept, gone] = [one.position(4), one.position(8)];
    await server.kill();
    await server.start();
    await Promise.all([isBack(one), isBack(other)]);
    const { first } = await one.append([event("a", "new")]);
    expect(resets).toContain("may");
    await other.shared?.refresh();
    for (const log of [one, other]) {
      expect(log.locate(kept)).toEqual({ sequence: 4, lost: "may" });
      expect(log.locate(gone)).toEqual({ sequence: 5, lost: "yes" });
      expect(log.locate(log.position(log.tail)).lost).toBe("no");
      expect(dataOf((await readAll(log, select("a"))).entries)).toEqual(["1", "2", "3", "4", "5", "new"]);
    }
    expect(first).toBeGreaterThan(9);
    await Promise.all([one.close(), other.close()]);
  });

  test("FLUSHALL under a running log is noticed", async () => {
    await using server = await startRedis();
    const { open } = opener(server);
    const log = await open();
    await following(log, "a");
    await log.append([event("a", "1"), event("a", "2")]);
    const old = log.position(2);
    await server.command("FLUSHALL");
    const { first } = await log.append([event("a", "3")]);
    expect(first).toBeGreaterThan(2);
    expect(log.locate(old).lost).toBe("yes");
    expect(dataOf((await readAll(log, select("a"))).entries)).toEqual(["3"]);
    await log.close();
  });

  test("during an outage appends are refused at once, reads wait, and a repeat adds once", async () => {
    await using server = await startRedis(always);
    const { open } = opener(server);
    const log = await open();
    const { seen } = await following(log, "a");
    await log.append([event("a", "1"), event("b", "b1")]);
    await server.kill();
    await isGone(log);
    const idempotency = { key: "k", digest: "d" };
    const startMs = Date.now();
    await expect(log.append([event("a", "2")], { idempotency })).rejects.toMatchObject({ code: "store_failed" });
    expect(Date.now() - startMs).toBeLessThan(100);
    const reading = log.read({ selection: select("b"), after: 0, limitBytes: 1000 });
    await server.start();
    await isBack(log);
    expect(dataOf((await reading).entries)).toEqual(["b1"]);
    const first = await log.append([event("a", "2")], { idempotency });
    expect(await log.append([event("a", "2")], { idempotency })).toEqual({ ...first, repeated: true });
    await until("it has come", () => seen.length === 2);
    expect(seen).toEqual(["1", "2"]);
    await log.close();
  });

  test("an append whose answer is lost is asked for again, and is there once", async () => {
    await using server = await startRedis();
    let lose = false;
    const losesAnswer = (client: RedisClientLike): RedisClientLike => ({
      options: client.options,
      duplicate: (overrides) => losesAnswer(client.duplicate(overrides)),
      connect: () => client.connect(),
      destroy: () => client.destroy(),
      sendCommand: async (args, options) => {
        const answer = await client.sendCommand(args, options);
        if (!lose || !Array.isArray(answer) || answer[0] !== "done") return answer;
        lose = false;
        throw new Error("Socket closed unexpectedly");
      },
      subscribe: (topics, listener, buffers) => client.subscribe(topics, listener, buffers),
      pSubscribe: (patterns, listener, buffers) => client.pSubscribe(patterns, listener, buffers),
      unsubscribe: (topics, listener, buffers) => client.unsubscribe(topics, listener, buffers),
      pUnsubscribe: (patterns, listener, buffers) => client.pUnsubscribe(patterns, listener, buffers),
      on: (name, listener) => client.on(name, listener),
    });
    const { open } = opener(server);
    const log = await open({}, losesAnswer(server.client()));
    const { seen, resets } = await following(log, "a");
    for (let n = 0; n < 5; n++) {
      lose = true;
      expect(await log.append([event("a", `${n}`), event("b", `${n}`)])).toEqual({ first: 2 * n + 1, count: 2 });
      expect(lose).toBe(false);
    }
    expect(dataOf((await readAll(log)).entries)).toEqual(["0", "0", "1", "1", "2", "2", "3", "3", "4", "4"]);
    expect(seen).toEqual(["0", "1", "2", "3", "4"]);
    expect(resets).toEqual([]);
    await log.close();
  });

  test("what was under way when Redis went for good is not known, and said so", async () => {
    await using server = await startRedis();
    const { open } = opener(server, { timeoutMs: 300, waitMs: 100 });
    const log = await open();
    process.kill(server.pid, "SIGSTOP");
    await expect(log.append([event("a")])).rejects.toMatchObject({ code: "store_unsure" });
    await isGone(log);
    await expect(log.append([event("a")])).rejects.toMatchObject({ code: "store_failed" });
    process.kill(server.pid, "SIGCONT");
    await isBack(log);
    await log.append([event("a", "after")]);
    await log.close();
  });

  test("closing while Redis is away takes no time, and ends what waits", async () => {
    await using server = await startRedis();
    const { open } = opener(server);
    const log = await open();
    await following(log, "a");
    await log.append([event("b", "1")]);
    await server.kill();
    await isGone(log);
    const reading = log.read({ selection: select("b"), after: 0, limitBytes: 1000 });
    const startMs = Date.now();
    await log.close();
    await expect(reading).rejects.toMatchObject({ code: "closed" });
    expect(Date.now() - startMs).toBeLessThan(1000);
    await expect(log.append([event("a")])).rejects.toMatchObject({ code: "closed" });
  });

  test("connections that are cut lose nothing: what came meanwhile is read", async () => {
    await using server = await startRedis();
    const { open } = opener(server);
    const [one, other] = await Promise.all([open(), open()]);
    const { seen, resets } = await following(one, "a", "c/*");
    const sent: string[] = [];
    for (let n = 0; n < 300; n++) {
      if (n % 60 === 30) await server.command("CLIENT", "KILL", "TYPE", "pubsub");
      const channel = n % 3 === 0 ? "a" : n % 3 === 1 ? `c/${n % 7}` : "elsewhere";
      const appended = await other.append([event(channel, `${n}`)]).then(
        () => true,
        () => false,
      );
      if (!appended) await isBack(other);
      else if (channel !== "elsewhere") sent.push(`${n}`);
    }
    await until("all has come", () => seen.length >= sent.length);
    expect(seen).toEqual(sent);
    expect(resets).toEqual([]);
    await Promise.all([one.close(), other.close()]);
  });

  test("more than fits in memory, missed in an outage, is left to the readers", async () => {
    await using server = await startRedis();
    const { open } = opener(server);
    const [one, other] = await Promise.all([open({ cacheBytes: 2000 }), open()]);
    const { resets } = await following(one, "a");
    await other.append([event("a", "first")]);
    await until("it has come", () => one.tail === 1);
    const clients = String(await server.command("CLIENT", "LIST")).split("\n");
    const own = clients.filter((line) => / sub=[1-9]/.test(line)).map((line) => /^id=(\d+)/.exec(line)?.[1] ?? "");
    // Both are cut; the other one writes as soon as it is back.
    for (const id of own) await server.command("CLIENT", "KILL", "ID", id);
    await isBack(other);
    await other.append(Array.from({ length: 100 }, (_, n) => event("a", `${n} ${"x".repeat(100)}`)));
    await isBack(one);
    await one.shared?.refresh();
    expect(dataOf((await readAll(one, select("a"))).entries)).toHaveLength(101);
    expect(new Set(resets).has("may")).toBe(false);
    await Promise.all([one.close(), other.close()]);
  });

  test("--wait: what too few replicas have is not acknowledged; a promoted replica is a new epoch", async () => {
    await using master = await startRedis();
    const { open } = opener(master, { wait: 1, waitMs: 200 });
    let present: TestRedis = master;
    const log = await open({}, undefined);
    await expect(log.append([event("a", "alone")])).rejects.toMatchObject({
      code: "store_unsure",
      message: expect.stringContaining("0 of 1"),
    });
    await using replica = await startRedis(["--replicaof", "127.0.0.1", String(master.port)]);
    await until("it replicates", async () =>
      String(await replica.command("INFO", "replication")).includes("master_link_status:up"),
    );
    await until("it confirms", () =>
      log.append([event("a", "1")]).then(
        () => true,
        () => false,
      ),
    );
    await log.close();
    const source = () => present.client();
    const { openRedisLog } = await import("../../../src/log/redis/index.js");
    const notices: string[] = [];
    const prefix = "failover:";
    const node = await openRedisLog(source, { prefix, wait: 1, onNotice: (notice) => notices.push(notice) });
    const { seen, resets } = await following(node, "a");
    const { first } = await node.append([event("a", "confirmed")]);
    const position = node.position(first);
    await master.kill();
    await replica.command("REPLICAOF", "NO", "ONE");
    present = replica;
    await isGone(node);
    await isBack(node);
    expect(resets).toEqual(["may"]);
    expect(node.locate(position)).toEqual({ sequence: first, lost: "may" });
    expect(dataOf((await readAll(node, select("a"))).entries)).toEqual(["confirmed"]);
    expect(seen).toEqual(["confirmed"]);
    await node.close();
  });

  test("with Sentinels: what was confirmed survives a failover, and a gap is said", { timeout: 60_000 }, async () => {
    await using master = await startRedis();
    await using replica = await startRedis(["--replicaof", "127.0.0.1", String(master.port)]);
    await using sentinel = await startSentinel("the-master", master.port);
    const { openRedisLog, throughSentinels } = await import("../../../src/log/redis/index.js");
    const source = throughSentinels({
      sentinels: [createClient({ url: "redis://127.0.0.1:1" }), sentinel.client()],
      name: "the-master",
      client: ({ host, port }) => createClient({ socket: { host, port } }),
    });
    const log = await openRedisLog(source, { wait: 1, onNotice: () => {} });
    const { resets } = await following(log, "a");
    await until("the replica confirms", () =>
      log.append([event("a", "first")]).then(
        () => true,
        () => false,
      ),
    );
    await until(
      "the Sentinel knows the replica", // it asks the master every ten seconds
      async () =>
        JSON.stringify(await sentinel.command("SENTINEL", "REPLICAS", "the-master")).includes(String(replica.port)),
      15_000,
    );
    const { first } = await log.append([event("a", "confirmed")]);
    const position = log.position(first);
    await master.kill();
    await isGone(log);
    await until("the replica is the master", () => log.stats().writable, 30_000);
    expect(resets).toContain("may");
    expect(log.locate(position)).toEqual({ sequence: first, lost: "may" });
    expect(dataOf((await readAll(log, select("a"))).entries).at(-1)).toBe("confirmed");
    // Nobody is left to confirm.
    await expect(log.append([event("a", "alone")])).rejects.toMatchObject({ code: "store_unsure" });
    await log.close();
    const wrong = throughSentinels({ sentinels: [sentinel.client()], name: "nobody", client: () => master.client() });
    await expect(openRedisLog(wrong)).rejects.toMatchObject({
      code: "store_failed",
      message: expect.stringContaining('none is called "nobody"'),
    });
  });
});
