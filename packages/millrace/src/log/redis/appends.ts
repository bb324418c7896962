import { randomBytes } from "node:crypto";
import { type CheckedEvent, connectionPrefix, encodeBlock, MillraceError } from "../../protocol/index.js";
import type { Appended, AppendOptions, Retention } from "../log.js";
import type { Rule } from "../policies.js";
import { sizeOf } from "../size.js";
import { clean, isAnswer } from "./client.js";
import { jsonFlag } from "./layout.js";
import { scripts } from "./scripts.js";
import { type Figures, figuresOf, type Session } from "./session.js";

export interface AppendsParts {
  readonly retention: Retention;
  readonly rules: readonly [...Rule[], Rule];
  /** Replicas that have to confirm, and for how long they are waited for. */
  readonly wait: number;
  readonly waitMs: number;
  /** How long to wait for Redis to come back when it was lost before it had answered. */
  readonly unsureMs: number;
  readonly epoch: () => string;
  readonly session: () => Session | undefined;
  /** Resolves with the next session; undefined when there is none in time. */
  readonly nextSession: (withinMs: number) => Promise<Session | undefined>;
  /** Whether what is published on a channel comes back as a message. */
  readonly comesBack: (channel: string) => boolean;
  /** Redis is there. Resolves when all up to it is committed here; see `Feed.reach`. */
  readonly reach: (figures: Figures, sequence: number, needs: number) => Promise<void>;
}

interface Job {
  readonly events: readonly CheckedEvent[];
  readonly size: number;
  readonly idempotency: AppendOptions["idempotency"];
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/** What Redis has answered, and which event of each job comes back as a message last; -1: none. */
interface Called {
  readonly answer: readonly unknown[];
  readonly comeBack: readonly number[];
}

/** Redis cuts a connection for which 32 MiB of messages wait, and what is published here may come back here. */
const maxAppendMebi = 16;
const maxBatchLength = 4 * 1024 * 1024;
/** A connection whose peer takes nothing for longer is not told that it has missed what was sent to it alone. */
const connectionMemoryMs = 10 * 60_000;
const manyLimits = 10_000;

/**
 * Appends to Redis: all that gathers while one call of the script is on its way goes with the next. A call whose answer was
 * lost is repeated under the same number, and adds nothing when it had been done.
 */
export class Appends {
  readonly #parts: AppendsParts;
  /** Names this log among all that write, so that its repeats are known. */
  readonly #node = randomBytes(9).toString("base64url");
  readonly #limits = new Map<string, readonly string[]>();
  #attempt = 0;
  #pending: Job[] = [];
  #scheduled = false;
  #sending = false;
  #idle: (() => void) | undefined;

  constructor(parts: AppendsParts) {
    this.#parts = parts;
  }

  add(events: readonly CheckedEvent[], idempotency: AppendOptions["idempotency"]): Promise<Appended> {
    const size = sizeOf(events, maxAppendMebi);
    return new Promise((resolve, reject) => {
      this.#pending.push({ events, size, idempotency, resolve, reject });
      this.#schedule();
    });
  }

  /** Refuses what has not been sent. */
  refuse(error: unknown): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const { reject } of pending) reject(error);
  }

  /** Resolves when nothing is pending. */
  async finish(): Promise<void> {
    if (this.#scheduled || this.#sending || this.#pending.length > 0)
      await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  #schedule(): void {
    if (this.#scheduled || this.#sending) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#sending = true;
      void this.#send(this.#takeJobs()).finally(() => {
        this.#sending = false;
        if (this.#pending.length > 0) this.#schedule();
        else this.#idle?.();
      });
    });
  }

  /** Some of what is pending: what a script does holds up all others. */
  #takeJobs(): Job[] {
    let length = 0;
    let count = 0;
    for (const { size } of this.#pending) {
      length += size;
      if (length > maxBatchLength && count > 0) break;
      count++;
    }
    return this.#pending.splice(0, count);
  }

  async #send(taken: readonly Job[]): Promise<void> {
    const { jobs, args } = this.#encode(taken);
    if (jobs.length === 0) return;
    try {
      await this.#settle(jobs, await this.#call(jobs, args));
    } catch (error) {
      for (const { reject } of jobs) reject(error);
    }
  }

  async #call(jobs: readonly Job[], args: readonly string[]): Promise<Called> {
    const { session: present, nextSession, epoch, wait, waitMs, unsureMs, comesBack } = this.#parts;
    const attempt = String(++this.#attempt);
    let session = present();
    let unsure = false;
    for (;;) {
      if (!session) throw unsure ? unsureOf("Redis was lost before it had answered") : notThere();
      // Now: of what Redis is told to follow while the answer is on its way, no message comes.
      const comeBack = jobs.map(({ events }) => events.findLastIndex(({ channel }) => comesBack(channel)));
      try {
        const answering = session.run(scripts.append, [epoch(), this.#node, attempt, ...args]);
        const confirming = wait > 0 ? session.wait(wait, waitMs) : undefined;
        confirming?.catch(() => {}); // the script's own answer says what is wrong
        const answer = (await answering) as unknown[];
        if (String(answer[0]) === "done") {
          unsure = true; // whatever becomes of its confirmation, it may be kept
          const replicas = (await confirming) ?? 0;
          if (replicas < wait) {
            throw unsureOf(`${replicas} of ${wait} replicas have confirmed it within ${waitMs} ms`);
          }
          return { answer, comeBack };
        }
        session.end(new Error("another epoch has begun"));
      } catch (error) {
        if (error instanceof MillraceError) throw error;
        if (isAnswer(error)) {
          const refusal = refusalOf(error, session);
          throw unsure ? unsureOf("Redis was lost before it had confirmed it") : refusal;
        }
        unsure = true;
        session.end(error as Error);
      }
      session = await nextSession(unsureMs);
    }
  }

  async #settle(jobs: readonly Job[], { answer, comeBack }: Called): Promise<void> {
    const { reach } = this.#parts;
    const [, numbers, last, results] = answer;
    const appended = (results as unknown[][]).map(([first, count, repeated]) => ({
      first: Number(first),
      count: Number(count),
      repeated: Number(repeated) === 1,
    }));
    let needs = 0;
    for (const [at, { first, repeated }] of appended.entries()) {
      const index = comeBack[at] as number;
      if (!repeated && first >= 0 && index >= 0) needs = first + index;
    }
    await reach(figuresOf(numbers), Number(last), needs);
    for (const [at, { resolve, reject }] of jobs.entries()) {
      const { first, count, repeated } = appended[at] as (typeof appended)[number];
      if (first < 0) {
        reject(
          new MillraceError(
            "idempotency_conflict",
            "this idempotency key was used before with another body: use a new key",
          ),
        );
      } else resolve(repeated ? { first, count, repeated } : { first, count });
    }
  }

  /** One with an event that cannot be encoded is refused here, and left out. */
  #encode(taken: readonly Job[]): { jobs: Job[]; args: string[] } {
    const { keyAgeMs, totalBytes } = this.#parts.retention;
    const channels = new Map<string, number>();
    const limits: string[] = [];
    const codeOf = (channel: string): number => {
      let at = channels.get(channel);
      if (at === undefined) {
        at = channels.size + 1;
        channels.set(channel, at);
        limits.push(...this.#limitsOf(channel));
      }
      return at * 4;
    };
    const jobs: Job[] = [];
    const encoded: string[] = [];
    for (const job of taken) {
      const { events, idempotency } = job;
      try {
        const own = [idempotency?.key ?? "", idempotency?.digest ?? "", String(events.length)];
        for (const { channel, event, key = "", retry, data, json } of events) {
          const block = encodeBlock({ event, channel, retry, data });
          own.push(String(codeOf(channel) + (json ? jsonFlag : 0)), key, block);
        }
        for (const text of own) encoded.push(text);
        jobs.push(job);
      } catch (error) {
        job.reject(error);
      }
    }
    const counts = [String(keyAgeMs), String(totalBytes), String(channels.size)];
    return { jobs, args: [...counts, ...limits, String(jobs.length)].concat(encoded) };
  }

  #limitsOf(channel: string): readonly string[] {
    let limits = this.#limits.get(channel);
    if (!limits) {
      const { rules, retention } = this.#parts;
      const { events, bytes, ageMs, spared } = rules.find((rule) => rule.holds(channel)) ?? (rules.at(-1) as Rule);
      const memoryMs = channel.startsWith(connectionPrefix)
        ? Math.min(retention.memoryAgeMs, connectionMemoryMs)
        : retention.memoryAgeMs;
      limits = [channel, String(events), String(bytes), String(ageMs), String(memoryMs), spared ? "1" : "0"];
      if (this.#limits.size >= manyLimits) this.#limits.clear();
      this.#limits.set(channel, limits);
    }
    return limits;
  }
}

export const notThere = () =>
  new MillraceError("store_failed", "Redis cannot be reached at present: nothing was kept, publish again later");

const unsureOf = (what: string) =>
  new MillraceError(
    "store_unsure",
    `${what}: whether the publish was kept is not known; publish again with the same Idempotency-Key`,
  );

/** What to do elsewhere: this Redis is not, or no longer, the one that is written to. */
const wrongServer = /^(?:READONLY|MASTERDOWN|LOADING|NOAUTH|UNBLOCKED)/;

function refusalOf(error: Error, session: Session): MillraceError {
  const { message } = clean(error);
  if (/\bOOM\b/.test(message)) {
    return new MillraceError("store_full", "Redis has no memory left: nothing was kept, publish again later");
  }
  if (wrongServer.test(message)) session.end(error);
  return new MillraceError("store_failed", `Redis does not write: ${message}`);
}
