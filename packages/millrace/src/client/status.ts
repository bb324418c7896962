import type { ConnectionError } from "./connection-error.js";

/**
 *   connecting → open → waiting → connecting …        where streams are held back: connecting → polling → …
 *   any → closed
 */
export type ConnectionState = "connecting" | "open" | "waiting" | "polling" | "closed";

export interface ConnectionStatus {
  readonly state: ConnectionState;
  /** Failed attempts since the last success, and after how many it gives up. */
  readonly attempt: number;
  readonly attempts: number;
  /** Why the last attempt failed; undefined while nothing has, and when the server has ended the stream. */
  readonly error: ConnectionError | undefined;
  /** What the server said as it ended the stream: `shutdown`, `expired`, `ended`, … */
  readonly reason: string | undefined;
  /** While it waits: how long in all, and until when, in milliseconds since 1970. */
  readonly waitMs: number | undefined;
  readonly untilMs: number | undefined;
  /** Where tabs share a connection: whether this one holds it, and how many read from it. */
  readonly tabs?: { readonly holds: boolean; readonly count: number } | undefined;
}
