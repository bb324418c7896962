/** Hubs in processes of their own, on one Redis. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisAvailable, startRedis, type TestRedis } from "../packages/millrace/test/log/redis/server.js";
import { bin, runCommand } from "./support/command.js";
import { type HubProcess, startHub } from "./support/hub.js";
import { Subscriber } from "./support/subscriber.js";
import { until } from "./support/until.js";

const redis = redisAvailable();
const password = "s3cret/päss";

describe.skipIf(!redis.available)("hubs on one Redis", { meta: { skipReason: redis.reason } }, () => {
  let server: TestRedis;
  let store: string;
  beforeAll(async () => {
    server = await startRedis(["--appendonly", "yes", "--appendfsync", "always", "--requirepass", password]);
    store = `redis://:${encodeURIComponent(password)}@127.0.0.1:${server.port}/1`;
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  const publish = async (hub: HubProcess, body: unknown, key?: string): Promise<string[]> => {
    const answer = await fetch(`${hub.url}/publish`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(key === undefined ? {} : { "idempotency-key": key }) },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(200);
    return ((await answer.json()) as { ids: string[] }).ids;
  };
  const dataOf = ({ events }: Subscriber) => events.map(({ data }) => data);

  test("share events; one is killed, and its subscribers go on at the other", async () => {
    const flags = ["--durability", "power", "--redis-prefix", "shop:"];
    const env = { MILLRACE_STORE: store };
    await using one = await startHub(flags, { env });
    await using other = await startHub(flags, { env });
    const there = new Subscriber(other.url, "/events?channel=a/*");
    const here = new Subscriber(one.url, "/events?channel=a/*");
    await until("both follow", () => there.connected && here.connected);
    for (let n = 0; n < 20; n++) await publish(n % 2 ? one : other, { channel: `a/${n % 3}`, data: `${n}` });
    await until("all has come", () => there.events.length === 20 && here.events.length === 20);
    expect(here.events).toEqual(there.events);
    one.kill("SIGKILL");
    await one.exited;
    const cursor = here.lastEventId ?? "";
    here.stop();
    const ids = await publish(other, [{ channel: "a/1", data: "20" }], "key");
    const moved = new Subscriber(other.url, "/events?channel=a/*", { lastEventId: cursor });
    await using again = await startHub(flags, { env });
    expect(await publish(again, [{ channel: "a/1", data: "20" }], "key")).toEqual(ids); // a repeat, at another node
    await publish(again, { channel: "a/2", data: "21" });
    await until("all has come", () => there.events.length === 22 && moved.events.length === 2);
    expect(dataOf(there)).toEqual(Array.from({ length: 22 }, (_, n) => `${n}`));
    expect(dataOf(moved)).toEqual(["20", "21"]);
    expect(moved.gaps).toEqual([]);
    for (const subscriber of [there, moved]) subscriber.stop();
    for (const hub of [one, other, again]) {
      expect(hub.stdout() + hub.stderr()).not.toContain("s3cret");
      expect(hub.stderr()).toContain("appendfsync always");
    }
  });

  test("say why they do not start, in a line without the password", async () => {
    const refusals: [string[], RegExp][] = [
      [
        ["--store", `redis://:wr0ng-secret@127.0.0.1:${server.port}`],
        /^millrace-hub.* redis:\/\/127\.0\.0\.1:\d+ .*WRONGPASS/,
      ],
      [["--store", "redis://:wr0ng-secret@127.0.0.1:1"], /ECONNREFUSED/],
      [["--store", "redis://:wr0ng-secret@127.0.0.1:x"], /--store is not valid: it should be redis:\/\/\[USER/],
      [
        ["--store", "reddis://:wr0ng-secret@127.0.0.1"],
        /--store is not valid: it should be memory, disk:PATH or redis/,
      ],
      [["--store", "memory", "--redis-wait", "1"], /--redis-wait is for --store redis/],
    ];
    for (const [args, message] of refusals) {
      const { code, stdout, stderr } = await runCommand(process.execPath, [bin, "serve", "--port", "0", ...args]);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(message);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      expect(stdout + stderr).not.toContain("wr0ng");
    }
    await using plain = await startRedis();
    const weak = await runCommand(process.execPath, [bin, "serve", "--store", plain.url, "--durability", "power"]);
    expect(weak.code).not.toBe(0);
    expect(weak.stderr).toMatch(/appendfsync always\): this one has off/);
  });
});
