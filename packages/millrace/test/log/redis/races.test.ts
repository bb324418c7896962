import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Hub } from "../../../src/hub/index.js";
import { openRedisLog } from "../../../src/log/redis/index.js";
import { parseSelection } from "../../../src/protocol/index.js";
import { RecordingSink } from "../../hub/recording-sink.js";
import { event, select, until } from "../support.js";
import { losing, opener } from "./nodes.js";
import { redisAvailable, startRedis, type TestRedis } from "./server.js";

const redis = redisAvailable();

describe.skipIf(!redis.available)(
  "what happens at the same time, on Redis",
  { meta: { skipReason: redis.reason } },
  () => {
    let server: TestRedis;
    beforeAll(async () => {
      server = await startRedis();
    });
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
    });

    test("a publish is answered at once, though its channel is first followed while it is under way", async () => {
      const { open, notices } = opener(server);
      const log = await open({ timeoutMs: 3000 });
      log.onCommit(() => {});
      log.shared?.follow(select("other"));
      await log.append([event("other")]);
      const before = notices.length;
      const startMs = performance.now();
      const appending = log.append([event("a")]);
      await nextTurn(); // it is sent, and then Redis is told of its channel: it does not come back as a message
      log.shared?.follow(select("a"));
      await appending;
      expect(performance.now() - startMs).toBeLessThan(1000);
      expect(notices.slice(before)).toEqual([]);
      await log.close();
    });

    test("a stream with a rate is given what came for itself before Redis knew of it", async () => {
      const { open } = opener(server);
      const log = await open();
      const hub = new Hub({ log, heartbeatMs: 0 });
      const connect = (user: string) => {
        const sink = new RecordingSink();
        hub.connect({ selection: parseSelection(["a"]), everyMs: 20, identity: { user } }, () => sink);
        return sink;
      };
      const first = connect("first");
      await hub.publish({ channel: "a", data: "0" });
      await until("it is followed", () => first.events.length === 1);
      // Is sent before the channels of the new one are asked for.
      const publishing = hub.publish([
        { channel: "@user/ann", data: "own" },
        { channel: "a", data: "1" },
      ]);
      const ann = connect("ann");
      await publishing;
      await hub.publish({ channel: "a", data: "2" });
      await until("all has come", () => ann.events.at(-1)?.data === "2");
      expect(ann.events.map(({ data }) => data)).toEqual(["own", "1", "2"]);
      await hub.close({ drainMs: 0 });
    });

    test("a master that is made a replica while others confirm: whether an event was kept is not known", async () => {
      await using master = await startRedis();
      const { open } = opener(master, { wait: 1, waitMs: 4000 });
      const log = await open();
      const appending = log.append([event("a")]);
      appending.catch(() => {});
      await until("it waits", async () => /blocked_clients:1/.test(String(await master.command("INFO", "clients"))));
      await master.command("REPLICAOF", "127.0.0.1", "1");
      await expect(appending).rejects.toMatchObject({ code: "store_unsure" });
      await log.close();
    });

    test("what a long outage kept from a stream it reads when Redis is back, the end of a run too", async () => {
      const { open, prefix } = opener(server);
      let gate = Promise.resolve();
      const source = () => gate.then(() => server.client());
      const idsOf = async () => String(await server.command("CLIENT", "LIST")).match(/(?<=^id=)\d+/gm) ?? [];
      const before = new Set(await idsOf());
      const log = await openRedisLog(source, { prefix, cacheBytes: 2000, onNotice: () => {} });
      const own = (await idsOf()).filter((id) => !before.has(id));
      const [hub, other] = [new Hub({ log, heartbeatMs: 0 }), new Hub({ log: await open(), heartbeatMs: 0 })];
      const sink = new RecordingSink();
      hub.connect({ selection: parseSelection(["a"]) }, () => sink);
      let finish = () => {};
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const run = await other.run("a", async (writer) => {
        await writer.send({ data: "begin" });
        await finished;
        await Promise.all(Array.from({ length: 50 }, () => writer.send({ data: "x".repeat(100) })));
      });
      await until("it is followed", () => sink.events.length === 1);
      let reopen = () => {};
      gate = new Promise((resolve) => {
        reopen = resolve;
      });
      for (const id of own) await server.command("CLIENT", "KILL", "ID", id).catch(() => {});
      await until("it is gone", () => !log.stats().writable);
      finish();
      await run.done;
      reopen();
      await until("its stream has ended", () => sink.closed);
      expect(sink.events).toHaveLength(1 + 50 + 2);
      await expect(hub.publish({ channel: "a", data: "x" })).rejects.toMatchObject({ code: "run_ended" });
      await Promise.all([hub.close({ drainMs: 0 }), other.close({ drainMs: 0 })]);
    });

    test("a full Redis has room again when events are too old", async () => {
      await using full = await startRedis(["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"]);
      const { open } = opener(full, { retention: { ageMs: 1500 } });
      const log = await open();
      const takes = (channel: string, data: string) =>
        log.append([event(channel, data)]).then(
          () => true,
          () => false,
        );
      for (let n = 0; n < 40; n++) await takes(`large/${n}`, "x".repeat(50_000));
      // What is free at times are the buffers of connections.
      for (let n = 0, refused = 0; refused < 30; n++) refused = (await takes(`small/${n}`, "x")) ? 0 : refused + 1;
      const { entries } = log.stats();
      await until("they have gone", async () => {
        await log.shared?.refresh();
        return log.stats().entries < entries / 2;
      });
      expect(await takes("late", "x".repeat(50_000))).toBe(true);
      await log.close();
    });

    test("one whose sink was full when a lost message was found is told a gap", async () => {
      let loses = false;
      const { open } = opener(server);
      const log = await open(
        {},
        losing(server.client(), (topic) => loses && topic.endsWith("c:a")),
      );
      const hub = new Hub({ log, heartbeatMs: 0 });
      const sinks = [new RecordingSink(), new RecordingSink()] as const;
      for (const sink of sinks) hub.connect({ selection: parseSelection(["a", "b"]) }, () => sink);
      const told = (at: 0 | 1) => sinks[at].events.map(({ type, data }) => (type === "message" ? data : type));
      await hub.publish({ channel: "b", data: "0" });
      await until("they are there", () => sinks.every(({ events }) => events.length === 1));
      loses = true;
      sinks[1].stalled = true;
      const lost = hub.publish({ channel: "a", data: "1" });
      await hub.publish({ channel: "b", data: "2" });
      await until("both have that", () => sinks.every(({ events }) => events.length === 2));
      loses = false;
      await lost;
      await until("it was late", () => sinks[0].events.length === 3);
      sinks[1].drain();
      await hub.publish({ channel: "a", data: "3" });
      await until("all has come", () => sinks.every(({ events }) => events.at(-1)?.data === "3"));
      expect([told(0), told(1)]).toEqual([
        ["0", "2", "1", "3"],
        ["0", "2", "millrace.gap", "3"],
      ]);
      await hub.close({ drainMs: 0 });
    });

    test("where clients come all the time, what is too old is dropped all the same", async () => {
      const { open } = opener(server, { retention: { ageMs: 200 } });
      const log = await open();
      await log.append([event("a")]);
      const endMs = Date.now() + 3000;
      while (log.stats().entries > 0 && Date.now() < endMs) await log.shared?.refresh(); // without a pause
      expect(log.stats().entries).toBe(0);
      await log.close();
    });
  },
);
