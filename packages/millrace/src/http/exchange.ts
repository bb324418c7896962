import type { Sink } from "../sink/sink.js";

export type Headers = Readonly<Record<string, string>>;

/**
 * One request and its answer, whatever server it came through. The API is written against this, once; Node and Fetch
 * each implement it.
 */
export interface Exchange {
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  /** What follows the question mark, as it came. */
  readonly query: string;
  /** Address of the peer, or what a trusted proxy says it is. */
  readonly remoteAddress: string | undefined;
  /** The framework's own request, for the application's `authorize`. */
  readonly raw: unknown;
  /** A header by its lower-case name. */
  header(name: string): string | undefined;
  /** How many `Host` (or `:authority`) values the request has. */
  readonly hosts: number;
  /** The whole body. Throws `BodyTooLarge` beyond the limit, and stops reading. */
  body(limitBytes: number): Promise<Uint8Array>;
  /** The status that was answered; 0 until then. */
  readonly status: number;
  /** Answers with a whole body. */
  respond(status: number, headers: Headers, body?: string | Uint8Array): void;
  /** Answers with a stream. */
  stream(headers: Headers): Sink;
  /** Calls the listener when the peer is gone before it was answered. */
  onGone(listener: () => void): void;
}

export class BodyTooLarge extends Error {}
