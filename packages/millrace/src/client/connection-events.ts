import type { AnyEvents, GapData, StreamEvent } from "../protocol/index.js";
import type { Snapshot } from "./connect-options.js";
import type { ConnectionError } from "./connection-error.js";
import type { ConnectionStatus } from "./status.js";

interface Received<N, D> {
  /** The event's name; `message` when it has none. */
  readonly type: N;
  readonly data: D;
  /** `data` as it came. */
  readonly text: string;
  /** The position behind it. */
  readonly id: string;
  /** What a hub says; undefined from other servers. */
  readonly channel: string | undefined;
}

/** An event of the map `E`, as far as publishers keep to it. */
export type ReceivedEvent<E extends object = AnyEvents> = string extends keyof E
  ? Received<string, unknown>
  : { [N in keyof E]: Received<N, E[N]> }[keyof E];

/** What a connection tells of itself. A server's event of one of these names is found under `*` only. */
export interface ConnectionEvents<E extends object = AnyEvents> {
  /** Any event of the server. */
  "*": ReceivedEvent<E>;
  open: { readonly type: "open"; readonly connection: string | undefined };
  state: ConnectionStatus & { readonly type: "state" };
  /** An attempt has failed, or an event's data is not as expected: then `event` is set, and was given to no handler. */
  error: { readonly type: "error"; readonly error: Error; readonly event: StreamEvent | undefined };
  /** Events are missing: see PROTOCOL.md, 3.3. */
  gap: GapData & { readonly type: "gap" };
  snapshot: Snapshot & { readonly type: "snapshot" };
  comment: { readonly type: "comment"; readonly text: string };
  /** The budget of attempts is used up; `close` follows. */
  gaveup: { readonly type: "gaveup"; readonly error: ConnectionError };
  close: ConnectionStatus & { readonly type: "close" };
}

/** What a handler of `N` gets. */
export type EventOf<E extends object, N> = N extends keyof ConnectionEvents<E>
  ? ConnectionEvents<E>[N]
  : N extends keyof E
    ? Received<N, E[N]>
    : ReceivedEvent;
