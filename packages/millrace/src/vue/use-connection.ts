import { type ComputedRef, computed, type MaybeRefOrGetter, markRaw, toValue } from "vue";
import type { ConnectionError, ConnectionState, ConnectionStatus, Subscription } from "../client/index.js";
import type { AnyEvents } from "../protocol/index.js";
import { type ConnectionOptions, Link, link, type None, type Url } from "../screen/index.js";
import { shownRef } from "./shown-ref.js";
import { whileMounted } from "./while-mounted.js";

export interface Connection<E extends object = AnyEvents> {
  readonly state: ComputedRef<ConnectionState>;
  readonly status: ComputedRef<ConnectionStatus>;
  /** Why the last attempt has failed, or why it is closed; undefined while nothing has failed. */
  readonly error: ComputedRef<ConnectionError | undefined>;
  /** What `connect` has answered; undefined while nothing is connected, and on servers. */
  readonly subscription: ComputedRef<Subscription<E> | undefined>;
  /** Tries again at once, when it waits. When it was closed for good it is opened anew, and goes on where it was. */
  readonly reconnect: () => void;
  readonly [link]: Link<E>;
}

/**
 * Stays connected to a URL from the mount of the component until its scope ends: see `connect`. No URL: not connected. Another
 * URL, or another `key` among the options, opens it anew; other changes of the options do not.
 * On a server it is `connecting`, and nothing is asked.
 *
 *     const connection = useConnection<{ price: { symbol: string; value: number } }>("/events?channel=prices");
 *     useEvents(connection, "price", ({ data }) => show(data.symbol, data.value));
 *     const { state } = connection;
 *
 * @throws MillraceError `invalid_option`, to Vue's error handlers
 */
export function useConnection<E extends object = AnyEvents>(
  url: MaybeRefOrGetter<Url | None>,
  options: MaybeRefOrGetter<ConnectionOptions<E>> = {},
): Connection<E> {
  const address = () => {
    const now = toValue(url);
    return now ? String(now) : undefined;
  };
  const key = () => toValue(options).key;
  const held = new Link<E>(address() === undefined ? "closed" : "connecting");
  whileMounted([address, key], () => {
    const now = address();
    return now === undefined ? undefined : held.open(now, key(), () => toValue(options));
  });
  const view = shownRef(held.shown);
  // Raw: as a part of something reactive its link would be a proxy, which has no private fields.
  return markRaw({
    state: computed(() => view.value.status.state),
    status: computed(() => view.value.status),
    error: computed(() => view.value.status.error),
    subscription: computed(() => view.value.subscription),
    reconnect: held.reconnect,
    [link]: held,
  });
}
