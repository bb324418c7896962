import { afterAll, beforeAll, describe } from "vitest";
import { defaultRetention } from "../../../src/log/index.js";
import { RedisLog } from "../../../src/log/redis/redis-log.js";
import { logContract } from "../contract.js";
import type { StartSubject } from "../support.js";
import { redisAvailable, startRedis, type TestRedis } from "./server.js";

const redis = redisAvailable();

describe.skipIf(!redis.available)("on a real Redis", { meta: { skipReason: redis.reason } }, () => {
  let server: TestRedis;
  let logs = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  /** `kept`: the same log; `reopened`: another node takes its place. */
  const start =
    (settling: "kept" | "reopened", more: { cacheBytes?: number; wideChannels?: number } = {}): StartSubject =>
    async (options) => {
      const prefix = `t${++logs}:`;
      const notices: string[] = [];
      const open = () =>
        RedisLog.open({
          ...{ source: server.client(), prefix, wait: 0, waitMs: 1000, timeoutMs: 5000 },
          ...{ cacheBytes: 2 ** 23, wideChannels: 256, ...more },
          retention: { ...defaultRetention, ...options?.retention },
          policies: options?.policies ?? [],
          onNotice: (notice) => {
            if (!notice.includes("appendonly no")) notices.push(notice);
          },
        });
      let log = await open();
      return {
        get log() {
          return log;
        },
        settle: async () => {
          if (settling === "reopened") {
            await log.close();
            log = await open();
          } else await log.shared?.refresh();
        },
        [Symbol.asyncDispose]: async () => {
          await log.close();
          if (notices.length > 0) throw new Error(`the store noticed something: ${notices.join("; ")}`);
        },
      };
    };

  logContract("Redis", start("kept"));
  logContract("Redis, hardly a cache", start("kept", { cacheBytes: 1 }));
  logContract("Redis, another node", start("reopened"));
  logContract("Redis, with every prefix as one of many channels", start("kept", { cacheBytes: 1, wideChannels: 0 }));
});
