import { MillraceError } from "../../protocol/index.js";
import { Connection, clean, type RedisListener, type RedisSource } from "./client.js";
import { decodeMessage, type Message } from "./message.js";
import type { Script } from "./scripts.js";
import { type Examined, examine } from "./server.js";

export interface SessionParts {
  readonly source: RedisSource;
  readonly prefix: string;
  readonly onMessage: (message: Message) => void;
  /** It is over: nothing that is sent from now on arrives. */
  readonly onEnd: (error: Error) => void;
}

/** What a log knows in numbers, as the scripts answer it. */
export interface Figures {
  readonly tail: number;
  readonly drops: number;
  readonly channels: number;
  readonly entries: number;
  readonly bytes: number;
  readonly forgottenThrough: number;
}

export function figuresOf(answer: unknown): Figures {
  const [tail = 0, drops = 0, channels = 0, entries = 0, bytes = 0, forgottenThrough = 0] = (answer as unknown[]).map(
    Number,
  );
  return { tail, drops, channels, entries, bytes, forgottenThrough };
}

/**
 * Two connections to one run of a Redis: one that appends and is sent what was published, in one order; and one for reads,
 * which may be large. When either is lost both are.
 */
export class Session {
  readonly #parts: SessionParts;
  readonly server: Examined;
  readonly #main: Connection;
  readonly #reads: Connection;
  readonly #listener: RedisListener = (bytes, topic) => {
    const { prefix, onMessage } = this.#parts;
    onMessage(decodeMessage(topic.toString().slice(prefix.length + 2), bytes));
  };
  ended: Error | undefined;

  private constructor(parts: SessionParts, main: Connection, reads: Connection, server: Examined) {
    this.#parts = parts;
    this.#main = main;
    this.#reads = reads;
    this.server = server;
  }

  /** @throws Error with what an operator may read */
  static async open(parts: SessionParts): Promise<Session> {
    let session: Session | undefined;
    let early: Error | undefined;
    const fail = (error: Error) => {
      early ??= error;
      session?.end(error);
    };
    const opened = await Promise.allSettled([Connection.open(parts.source, fail), Connection.open(parts.source, fail)]);
    const [main, reads] = opened.map((one) => (one.status === "fulfilled" ? one.value : undefined));
    try {
      const failed = opened.find((one) => one.status === "rejected");
      if (!main || !reads) throw failed?.reason;
      const server = await examine(main);
      if (early) throw early;
      session = new Session(parts, main, reads, server);
      return session;
    } catch (error) {
      main?.destroy();
      reads?.destroy();
      throw error instanceof MillraceError ? error : ((main ?? reads)?.cleaned(error) ?? clean(error));
    }
  }

  end(error: Error): void {
    if (this.ended) return;
    this.ended = this.#main.cleaned(error);
    this.#main.destroy();
    this.#reads.destroy();
    this.#parts.onEnd(this.ended);
  }

  /** Runs a script in the one order of appends and messages. */
  run(script: Script, args: readonly (string | Buffer)[]): Promise<unknown> {
    return this.#evaluate((command) => this.#main.send(command), script, args);
  }

  /** Runs one that only reads, and answers with bytes. */
  query(script: Script, args: readonly string[]): Promise<unknown> {
    return this.#evaluate((command) => this.#reads.sendForBytes(command), script, args);
  }

  async #evaluate(
    send: (command: readonly (string | Buffer)[]) => Promise<unknown>,
    { sha, text }: Script,
    args: readonly (string | Buffer)[],
  ): Promise<unknown> {
    const rest = ["1", this.#parts.prefix, ...args];
    try {
      return await send(["EVALSHA", sha, ...rest]);
    } catch (error) {
      if (!(error as Error).message?.startsWith("NOSCRIPT")) throw error;
      return send(["EVAL", text, ...rest]);
    }
  }

  /** How many replicas have all that was written before. Holds up what is sent after it. */
  async wait(replicas: number, timeoutMs: number): Promise<number> {
    return Number(await this.#main.send(["WAIT", String(replicas), String(timeoutMs)]));
  }

  /** Both connections answer. */
  async check(): Promise<void> {
    await this.#reads.send(["PING"]);
  }

  async subscribe(exact: readonly string[], prefixes: readonly string[]): Promise<void> {
    const topics = exact.map((name) => this.#topic(name));
    const patterns = prefixes.map((prefix) => this.#pattern(prefix));
    await Promise.all([
      topics.length > 0 && this.#main.subscribe(topics, this.#listener),
      patterns.length > 0 && this.#main.subscribePatterns(patterns, this.#listener),
    ]);
  }

  /** Everything, what begins with "@" too. */
  async subscribeAll(): Promise<void> {
    const patterns = ["c:", "p:"].map((kind) => `${escaped(this.#parts.prefix + kind)}?*`);
    await this.#main.subscribePatterns(patterns, this.#listener);
  }

  async unsubscribe(exact: readonly string[], prefixes: readonly string[]): Promise<void> {
    const topics = exact.map((name) => this.#topic(name));
    const patterns = prefixes.map((prefix) => this.#pattern(prefix));
    await Promise.all([
      topics.length > 0 && this.#main.unsubscribe(topics, this.#listener),
      patterns.length > 0 && this.#main.unsubscribePatterns(patterns, this.#listener),
    ]);
  }

  /** Tells when another epoch has begun. */
  async watchEpochs(listener: (name: string) => void): Promise<void> {
    await this.#main.subscribe([`${this.#parts.prefix}e`], (name) => listener(name.toString()));
  }

  #topic(channel: string): string {
    return `${this.#parts.prefix}${channel.startsWith("@") ? "p" : "c"}:${channel}`;
  }

  /** A prefix holds what is longer than itself. */
  #pattern(prefix: string): string {
    return `${escaped(`${this.#parts.prefix}c:${prefix}`)}?*`;
  }
}

const escaped = (text: string): string => text.replace(/[\\*?[\]]/g, "\\$&");
