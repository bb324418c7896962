import type { Hub } from "../hub/index.js";
import { Problem, retryLater } from "./problem.js";

/** Bounds on what clients may use. Infinity turns one off. */
export interface Limits {
  /** Largest body of a request, in bytes. Default 1 MiB. */
  readonly bodyBytes: number;
  /** How long a body may take to come, in milliseconds. Default 60,000. */
  readonly bodyMs: number;
  /** Most channels of one subscriber that an address may name. Default 1,000. */
  readonly channels: number;
  /** Streams in all. Default Infinity. */
  readonly connections: number;
  /** Streams of one address. Default Infinity. */
  readonly connectionsPerIp: number;
  /** Streams of one user. Default Infinity. */
  readonly connectionsPerUser: number;
  /** Events a second that one publisher may send: a user, or else an address. Default Infinity. */
  readonly publishRate: number;
  /** How long a long-poll waits for something to say, in milliseconds. Default 25,000: less than any proxy's patience. */
  readonly pollMs: number;
}

export const defaultLimits: Limits = {
  bodyBytes: 1024 * 1024,
  bodyMs: 60_000,
  channels: 1000,
  connections: Infinity,
  connectionsPerIp: Infinity,
  connectionsPerUser: Infinity,
  publishRate: Infinity,
  pollMs: 25_000,
};

interface Bucket {
  allowance: number;
  atMs: number;
}

const maxBuckets = 100_000;

/** Counts what the limits are about. */
export class Gate {
  readonly limits: Limits;
  readonly #hub: Hub;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limits: Limits, hub: Hub) {
    this.limits = limits;
    this.#hub = hub;
  }

  /** @throws Problem 503 when there is no place for another stream */
  enter(ip: string | undefined, user: string | undefined): void {
    const { connections, connectionsPerIp, connectionsPerUser } = this.limits;
    const full = (what: string, limit: number) =>
      new Problem(
        503,
        "too_many_connections",
        `${what} may have ${limit} streams, and has them`,
        retryLater(5 + Math.random() * 10),
      );
    if (this.#hub.connectionCount >= connections) throw full("this hub", connections);
    if (ip !== undefined && this.#hub.connectionsFrom(ip) >= connectionsPerIp)
      throw full("one address", connectionsPerIp);
    if (user !== undefined && this.#hub.connectionsOf(user).size >= connectionsPerUser)
      throw full("one user", connectionsPerUser);
  }

  /** Counts events of a publisher. @throws Problem 429 when they come faster than the rate */
  spend(publisher: string, events: number): void {
    const { publishRate } = this.limits;
    if (publishRate === Infinity) return;
    const nowMs = performance.now();
    let bucket = this.#buckets.get(publisher);
    if (!bucket) {
      if (this.#buckets.size >= maxBuckets) this.#forgetFull(nowMs);
      bucket = { allowance: Math.max(1, publishRate), atMs: nowMs };
      this.#buckets.set(publisher, bucket);
    }
    bucket.allowance = this.#allowance(bucket, nowMs);
    bucket.atMs = nowMs;
    // A request larger than a whole second's worth is let through when the bucket is full: it could never pass otherwise.
    const needed = Math.min(events, Math.max(1, publishRate));
    if (bucket.allowance < needed) {
      const seconds = (needed - bucket.allowance) / publishRate;
      throw new Problem(
        429,
        "too_many_events",
        `one publisher may send ${publishRate} events a second`,
        retryLater(seconds),
      );
    }
    bucket.allowance -= events;
  }

  #allowance({ allowance, atMs }: Bucket, nowMs: number): number {
    const { publishRate } = this.limits;
    return Math.min(Math.max(1, publishRate), allowance + ((nowMs - atMs) / 1000) * publishRate);
  }

  #forgetFull(nowMs: number): void {
    const full = Math.max(1, this.limits.publishRate);
    for (const [publisher, bucket] of this.#buckets) {
      if (this.#allowance(bucket, nowMs) >= full) this.#buckets.delete(publisher);
    }
  }
}
