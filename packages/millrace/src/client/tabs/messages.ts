import type { MillraceErrorCode, StreamEvent } from "../../protocol/index.js";
import { ConnectionError } from "../connection-error.js";
import type { ConnectionStatus } from "../status.js";

/** What tabs say to whoever leads. */
export type ToLeader =
  /** `turn` comes back with the answer. Also when the channels are others. */
  | { readonly kind: "join"; readonly tab: string; readonly turn: number; readonly channels: readonly string[] }
  | { readonly kind: "leave"; readonly tab: string }
  | { readonly kind: "ping" }
  /** Somebody wants it not to wait. */
  | { readonly kind: "hurry" }
  /** A higher term is known than the one that was just heard of. */
  | { readonly kind: "stale"; readonly known: number };

/**
 * What the leader says. With all of it comes how many events it has broadcast, an event itself included: a page that sleeps
 * may lose what is said to it, and must find out though nothing follows.
 */
export type FromLeader = { readonly term: number; readonly number: number } & (
  | { readonly kind: "lead" }
  /** From the next event on, what comes is behind the position `at`, for these channels too. */
  | {
      readonly kind: "joined";
      readonly tab: string;
      readonly turn: number;
      readonly at: string;
      readonly connection: string | undefined;
    }
  | { readonly kind: "refused"; readonly tab: string; readonly turn: number; readonly error: Plain }
  | { readonly kind: "event"; readonly event: StreamEvent }
  | { readonly kind: "status"; readonly status: PlainStatus; readonly count: number }
  | { readonly kind: "open"; readonly connection: string | undefined }
  | { readonly kind: "comment"; readonly text: string }
  | { readonly kind: "error"; readonly error: Plain }
  | { readonly kind: "pong" }
  /** Its server is no hub: each tab is on its own. */
  | { readonly kind: "alone" }
  /** Its connection is closed for good, and that is the result of this tab. */
  | { readonly kind: "over"; readonly tab: string; readonly status: PlainStatus; readonly gaveUp: boolean }
);

/** An error on its way: an instance of a class of one's own would arrive as a plain `Error`. */
export interface Plain {
  readonly code: MillraceErrorCode;
  readonly message: string;
  readonly status: number | undefined;
}

export type PlainStatus = Omit<ConnectionStatus, "error"> & { readonly error: Plain | undefined };

export const plain = ({ code, message, status }: ConnectionError): Plain => ({ code, message, status });

export const revived = ({ code, message, status }: Plain): ConnectionError =>
  new ConnectionError(code, message, status === undefined ? {} : { status });

export const plainStatus = (status: ConnectionStatus): PlainStatus => ({
  ...status,
  error: status.error && plain(status.error),
});

export const revivedStatus = (status: PlainStatus): ConnectionStatus => ({
  ...status,
  error: status.error && revived(status.error),
});
