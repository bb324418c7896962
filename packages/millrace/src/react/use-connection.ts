import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { ConnectionError, ConnectionState, ConnectionStatus, Subscription } from "../client/index.js";
import type { AnyEvents } from "../protocol/index.js";
import { type ConnectionOptions, Link, link, type None, type Url } from "../screen/index.js";
import { useLatest } from "./use-latest.js";

/** A connection as a render shows it: the same object until something of it changes, then another. */
export interface Connection<E extends object = AnyEvents> {
  readonly state: ConnectionState;
  readonly status: ConnectionStatus;
  /** Why the last attempt has failed, or why it is closed; undefined while nothing has failed. */
  readonly error: ConnectionError | undefined;
  /** What `connect` has answered; undefined while nothing is connected, and on servers. */
  readonly subscription: Subscription<E> | undefined;
  /** Tries again at once, when it waits. When it was closed for good it is opened anew, and goes on where it was. */
  readonly reconnect: () => void;
  readonly [link]: Link<E>;
}

/**
 * Stays connected to a URL while the component is mounted: see `connect`. No URL: not connected. Another URL, or another
 * `key` among the options, opens it anew; other changes of the options do not, and need not be the same objects.
 * On a server it is `connecting`, and nothing is asked.
 *
 *     const connection = useConnection<{ price: { symbol: string; value: number } }>("/events?channel=prices");
 *     useEvents(connection, "price", ({ data }) => show(data.symbol, data.value));
 *     return connection.state;
 *
 * @throws MillraceError `invalid_option`, to the nearest error boundary
 */
export function useConnection<E extends object = AnyEvents>(
  url: Url | None,
  options: ConnectionOptions<E> = {},
): Connection<E> {
  const address = url ? String(url) : undefined;
  const { key } = options;
  const latest = useLatest(options);
  const [held] = useState(() => new Link<E>(address === undefined ? "closed" : "connecting"));
  useEffect(
    () => (address === undefined ? undefined : held.open(address, key, () => latest.current)),
    [held, address, key, latest],
  );
  const { value, watch } = held.shown;
  const view = useSyncExternalStore(watch, value, value);
  return useMemo(() => {
    const { status, subscription } = view;
    const { state, error } = status;
    return { state, status, error, subscription, reconnect: held.reconnect, [link]: held };
  }, [held, view]);
}
