import { openRedisLog, type RedisClientLike, type RedisLogOptions } from "../../../src/log/redis/index.js";
import type { TestRedis } from "./server.js";

let logs = 0;

/** A prefix that no other test has. */
export const newPrefix = (): string => `n${process.pid}-${++logs}:`;

/** Opens logs on one Redis; what they notice is kept. */
export function opener(server: TestRedis, options: RedisLogOptions = {}) {
  const notices: string[] = [];
  const prefix = newPrefix();
  return {
    prefix,
    notices,
    open: (more: RedisLogOptions = {}, client: RedisClientLike = server.client()) =>
      openRedisLog(client, { prefix, onNotice: (notice) => notices.push(notice), ...options, ...more }),
  };
}

/** A client whose messages are lost when `loses` says so: as by a proxy that drops some. */
export function losing(client: RedisClientLike, loses: (topic: string) => boolean): RedisClientLike {
  type Listener = (message: Buffer, topic: Buffer) => void;
  const some =
    (listener: Listener): Listener =>
    (message, topic) => {
      if (!loses(topic.toString())) listener(message, topic);
    };
  return {
    get options() {
      return client.options;
    },
    duplicate: (overrides) => losing(client.duplicate(overrides), loses),
    connect: () => client.connect(),
    destroy: () => client.destroy(),
    sendCommand: (args, options) => client.sendCommand(args, options),
    subscribe: (topics, listener, buffers) => client.subscribe(topics, some(listener), buffers),
    pSubscribe: (patterns, listener, buffers) => client.pSubscribe(patterns, some(listener), buffers),
    unsubscribe: (topics, listener, buffers) => client.unsubscribe(topics, listener, buffers),
    pUnsubscribe: (patterns, listener, buffers) => client.pUnsubscribe(patterns, listener, buffers),
    on: (event, listener) => client.on(event, listener),
  };
}
