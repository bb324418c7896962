import { Connection, clean, type RedisClientLike } from "./client.js";

export interface SentinelOptions {
  /** A client for each Sentinel. They are only duplicated. */
  readonly sentinels: readonly RedisClientLike[];
  /** What the Sentinels call the master. */
  readonly name: string;
  /** Makes a client for the master that they name. */
  readonly client: (address: { readonly host: string; readonly port: number }) => RedisClientLike;
}

/**
 * Finds the present master by asking Sentinels, for each connection anew: give it to `openRedisLog`.
 *
 *     openRedisLog(throughSentinels({
 *       sentinels: [createClient({ url: "redis://10.0.0.1:26379" }), …],
 *       name: "mymaster",
 *       client: ({ host, port }) => createClient({ socket: { host, port } }),
 *     }));
 */
export function throughSentinels({ sentinels, name, client }: SentinelOptions): () => Promise<RedisClientLike> {
  return async () => {
    const problems = new Set<string>();
    for (const sentinel of sentinels) {
      let connection: Connection | undefined;
      try {
        connection = await Connection.open(sentinel, () => {});
        const address = await connection.send(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]);
        const [host, port] = Array.isArray(address) ? address.map(String) : [];
        if (host !== undefined) return client({ host, port: Number(port) });
        problems.add(`none is called ${JSON.stringify(name)}`);
      } catch (error) {
        problems.add((connection?.cleaned(error) ?? clean(error)).message);
      } finally {
        connection?.destroy();
      }
    }
    throw new Error(`no Sentinel names a master: ${[...problems].join("; ")}`);
  };
}
