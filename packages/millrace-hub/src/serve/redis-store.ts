import type { Log, Retention } from "millrace";
import { openRedisLog, type RedisSource, throughSentinels } from "millrace/log/redis";
import { UsageError } from "../cli/option.js";
import type { Logger } from "./logger.js";
import { type RedisAddress, redisUrl } from "./redis-address.js";

export interface RedisStoreOptions {
  readonly address: RedisAddress;
  readonly prefix: string;
  /** Replicas that confirm an event before it is acknowledged. */
  readonly wait: number;
  readonly durability: "process" | "power";
  readonly retention: Partial<Retention>;
}

/** @throws UsageError in a line without a password */
export async function openRedisStore(options: RedisStoreOptions, logger: Logger): Promise<Log> {
  const { address, prefix, wait, durability, retention } = options;
  const refuse = (why: string, cause?: unknown) =>
    new UsageError(`--store ${address.shown} cannot be opened: ${why}`, { cause });
  const log = await openRedisLog(await sourceOf(address), {
    ...{ prefix, wait, retention },
    onNotice: (message) => logger.warn(message),
  }).catch((error: Error) => {
    throw refuse(error.message);
  });
  const { version, appendfsync, replicas } = log.server;
  if (durability === "power" && appendfsync !== "always") {
    await log.close();
    throw refuse(
      `--durability power needs a Redis that flushes before it answers (appendonly yes, appendfsync always): this one has ${appendfsync}`,
    );
  }
  logger.info(`events are kept in Redis ${version} (appendfsync ${appendfsync}, replicas ${replicas})`);
  return log;
}

/** Loaded only where it is used. */
async function sourceOf(address: RedisAddress): Promise<RedisSource> {
  const { createClient } = await import("redis");
  const { hosts, sentinel } = address;
  if (sentinel === undefined) return createClient({ url: redisUrl(address, hosts[0]) });
  return throughSentinels({
    sentinels: hosts.map(({ host, port }) => createClient({ socket: { host, port } })),
    name: sentinel,
    client: (master) => createClient({ url: redisUrl(address, master) }),
  });
}
