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
  /** What is wrong with the request's head, which its server let through. */
  readonly malformed: string | undefined;
  /** Whether the peer has left: no answer would reach it. */
  readonly gone: boolean;
  /** The body, where all of it came together with the head. */
  readonly whole: Uint8Array | undefined;
  /**
   * Hands over the body part by part; resolves at its end. Rejects, and hands over no more, with what `take` throws, with
   * what the reading is cut with, and with `PeerGone` when it never came whole.
   */
  body(reading: Reading): Promise<void>;
  /** The status that was answered; 0 until then. */
  readonly status: number;
  /** Answers with a whole body. */
  respond(status: number, headers: Headers, body?: string | Uint8Array): void;
  /** Answers with a stream. */
  stream(headers: Headers): Sink;
  /** Calls the listener when the peer leaves from now on. */
  onGone(listener: () => void): void;
}

/** Takes a body. An AbortSignal would do the same; with its listener, one for each body cost more than the body. */
export interface Reading {
  /** @throws Problem when it takes no more */
  take(part: Uint8Array): void;
  /** Set by the exchange that hands over: ends that, with a reason. */
  cut: (reason: unknown) => void;
}

/** The peer left before its request was whole: there is nobody to answer, and nothing went wrong here. */
export class PeerGone extends Error {}

/** Whether the request says that it has a body. */
export function hasBody(exchange: Exchange): boolean {
  return (exchange.header("content-length") ?? "0") !== "0" || exchange.header("transfer-encoding") !== undefined;
}
