import { invalidOption, MillraceError, withDefaults } from "../../protocol/index.js";
import { defaultRetention, type Log, type Retention, type RetentionPolicy } from "../log.js";
import type { RedisSource } from "./client.js";
import { RedisLog } from "./redis-log.js";
import type { RedisServer } from "./server.js";

export type { RedisClientLike, RedisSource } from "./client.js";
export { type SentinelOptions, throughSentinels } from "./sentinel.js";
export type { RedisServer } from "./server.js";

export interface RedisLogOptions {
  /** All its keys and Pub/Sub channels begin so. Nodes with the same one share a log. Default `millrace:`. */
  readonly prefix?: string;
  /** As for every log; all nodes have to be given the same. */
  readonly retention?: Partial<Retention>;
  /** What some channels keep instead: the first whose pattern holds a channel counts. */
  readonly policies?: readonly RetentionPolicy[];
  /** So many replicas have to have an event before it is acknowledged (`WAIT`). Default 0. */
  readonly wait?: number;
  /** How long they are waited for, in milliseconds; then the publish is refused as `store_unsure`. Default 1,000. */
  readonly waitMs?: number;
  /**
   * A Redis that has not answered for so long is taken for lost, in milliseconds; and so long a publish waits whose answer
   * was lost. Default 5,000.
   */
  readonly timeoutMs?: number;
  /** Memory for the newest entries of what is followed here, in bytes. Default 8 MiB. */
  readonly cacheBytes?: number;
  /** Told what an operator should know: Redis is lost, or promises little. Never holds a password. Default: a process warning. */
  readonly onNotice?: (message: string) => void;
}

/** From so many channels on, a read of a prefix goes through the entries of all, in their order. */
const wideChannels = 256;

/** A log in a Redis. */
export interface SharedRedisLog extends Log {
  /** What this Redis promises, as far as it says so. */
  readonly server: RedisServer;
}

/**
 * Opens the log in a Redis 7 (or Valkey), which any number of nodes share: they see one order, and the same ids.
 *
 *     import { createClient } from "redis";
 *     const log = await openRedisLog(createClient({ url: "redis://localhost" }));
 *     const hub = createHub({ log });
 *
 * The client is duplicated for connections of the log's own, which come back by themselves when they are lost; a function
 * that makes one is asked each time, so it may look for the present master.
 * @throws MillraceError `store_failed` when there is no Redis, or one that is too old; `invalid_option`, also for a Redis
 * that deletes keys by itself when its memory is full (`maxmemory-policy`)
 */
export async function openRedisLog(source: RedisSource, options: RedisLogOptions = {}): Promise<SharedRedisLog> {
  const { prefix = "millrace:", wait = 0, waitMs = 1000, timeoutMs = 5000, cacheBytes = 8 * 1024 * 1024 } = options;
  if (typeof prefix !== "string" || !/^[\x21-\x7e]{1,100}$/.test(prefix)) {
    throw invalidOption("prefix", prefix, "it is 1 to 100 visible ASCII characters");
  }
  if (!Number.isSafeInteger(wait) || wait < 0) throw invalidOption("wait", wait, "it is a whole number, 0 or more");
  for (const [name, value] of Object.entries({ waitMs, timeoutMs })) {
    if (!(value >= 1 && value <= 60_000)) throw invalidOption(name, value, "it is 1 to 60,000");
  }
  if (waitMs >= timeoutMs) {
    throw new MillraceError(
      "invalid_option",
      `waitMs is ${waitMs}: it has to be less than timeoutMs, which is ${timeoutMs}`,
    );
  }
  return RedisLog.open({
    ...{ source, prefix, wait, waitMs, timeoutMs, cacheBytes, wideChannels },
    retention: withDefaults(defaultRetention, options.retention),
    policies: options.policies ?? [],
    onNotice: options.onNotice ?? ((message) => process.emitWarning(message, "MillraceWarning")),
  });
}
