type Argument = string | Buffer;

/** Told of each message, with its channel. */
export type RedisListener = (message: Buffer, channel: Buffer) => void;

/**
 * What is needed of a client of the package `redis` (node-redis 5 or 6, RESP3): the one that `createClient` answers fits. It
 * is only duplicated: it need not be connected, and stays as it is.
 */
export interface RedisClientLike {
  readonly options?: object | undefined;
  duplicate(overrides?: object): RedisClientLike;
  connect(): Promise<unknown>;
  destroy(): void;
  sendCommand(args: readonly Argument[], options?: object): Promise<unknown>;
  subscribe(channels: string[], listener: RedisListener, buffers: true): Promise<unknown>;
  pSubscribe(patterns: string[], listener: RedisListener, buffers: true): Promise<unknown>;
  unsubscribe(channels: string[], listener: RedisListener, buffers: true): Promise<unknown>;
  pUnsubscribe(patterns: string[], listener: RedisListener, buffers: true): Promise<unknown>;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** A client, or what makes one for each connection: there whoever knows it finds out which Redis is the present one. */
export type RedisSource = RedisClientLike | (() => RedisClientLike | Promise<RedisClientLike>);

interface Options {
  readonly socket?: object;
  readonly password?: unknown;
}

/** The type by which node-redis is told to answer with bytes: RESP's `$`. */
const asBuffers = { typeMapping: { 36: Buffer } };

/**
 * One connection. It does not come back by itself: what another one finds is not known to be the same Redis with the same
 * data, so whoever uses it has to look.
 */
export class Connection {
  readonly #client: RedisClientLike;
  readonly #options: Options;

  private constructor(client: RedisClientLike) {
    this.#client = client;
    this.#options = (client.options ?? {}) as Options;
  }

  /** @throws what the client throws: show it with `describe` only */
  static async open(source: RedisSource, onError: (error: Error) => void): Promise<Connection> {
    const given = typeof source === "function" ? await source() : source;
    const { socket } = (given.options ?? {}) as Options;
    const client = given.duplicate({
      RESP: 3, // its messages come in one order with its answers
      disableOfflineQueue: true,
      socket: { ...socket, reconnectStrategy: false },
    });
    client.on("error", onError);
    const connection = new Connection(client);
    try {
      await client.connect();
    } catch (error) {
      connection.destroy();
      throw connection.cleaned(error);
    }
    return connection;
  }

  send(args: readonly Argument[]): Promise<unknown> {
    return this.#client.sendCommand(args);
  }

  /** The same, with bytes in place of texts. */
  sendForBytes(args: readonly Argument[]): Promise<unknown> {
    return this.#client.sendCommand(args, asBuffers);
  }

  subscribe(topics: string[], listener: RedisListener): Promise<unknown> {
    return this.#client.subscribe(topics, listener, true);
  }

  subscribePatterns(patterns: string[], listener: RedisListener): Promise<unknown> {
    return this.#client.pSubscribe(patterns, listener, true);
  }

  // With the listener: without it, one who subscribes again before the answer comes would lose that, too.

  unsubscribe(topics: string[], listener: RedisListener): Promise<unknown> {
    return this.#client.unsubscribe(topics, listener, true);
  }

  unsubscribePatterns(patterns: string[], listener: RedisListener): Promise<unknown> {
    return this.#client.pUnsubscribe(patterns, listener, true);
  }

  destroy(): void {
    try {
      this.#client.destroy();
    } catch {
      // it was closed already
    }
  }

  /** The error without the password, should some message have it. */
  cleaned(error: unknown): Error {
    const { password } = this.#options;
    return clean(error, typeof password === "string" ? password : undefined);
  }
}

/** What may be shown of an error: nothing that stands between "://" and "@", and no password. */
export function clean(error: unknown, password?: string): Error {
  const { message, name, code }: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error));
  let text = message || code || name;
  if (password) for (const secret of [password, encodeURIComponent(password)]) text = text.replaceAll(secret, "***");
  return new Error(text.replace(/:\/\/[^@\s/]*@/g, "://***@").slice(0, 300));
}

/** Whether Redis itself has answered so: then it is known that nothing was done. */
export const isAnswer = (error: unknown): error is Error =>
  error instanceof Error && !Object.hasOwn(error, "code") && /^[A-Z]{2,}[A-Z0-9]*(?: |$)/.test(error.message);
