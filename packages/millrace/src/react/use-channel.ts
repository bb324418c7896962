import { useEffect, useState, useSyncExternalStore } from "react";
import type { ConnectionState } from "../client/index.js";
import type { AnyEvents } from "../protocol/index.js";
import { type ChannelOptions, type EventNamed, isOf, link, type None, Recent } from "../screen/index.js";
import { type Source, useSource } from "./use-source.js";

/** The last events of a channel: the same lists until something is new. */
export interface Channel<T> {
  /** The newest last. */
  readonly events: readonly T[];
  /** The newest of them. */
  readonly latest: T | undefined;
  readonly state: ConnectionState;
  /** Why the server does not give this channel, or the connection's error. */
  readonly error: Error | undefined;
}

/**
 * The last events of a channel, from now on: 50, or as many as `keep` says. A burst of events is one render.
 *
 * On a connection of `useConnection` the channel is added to the open stream while somebody uses it, and dropped after
 * the last: many components, many channels, one connection. With `*` nothing is added: it is all that the connection
 * reads. Null: nothing.
 *
 *     const { events } = useChannel(connection, "news", { type: "headline" });
 *     return events.map(({ id, data }) => createElement("li", { key: id }, data.title));
 *
 * @throws MillraceError `invalid_channel` or `invalid_option`, to the nearest error boundary
 */
export function useChannel<E extends object = AnyEvents, N extends string = keyof E & string>(
  source: Source<E>,
  channel: string | None,
  options: ChannelOptions<N> = {},
): Channel<EventNamed<E, N>> {
  const { type, keep = 50 } = options;
  const connection = useSource(source);
  const held = connection[link];
  const name = channel || null;
  const [recent] = useState(() => new Recent<E>());
  useEffect(() => recent.keep(keep), [recent, keep]);
  useEffect(() => recent.follow({ link: held, channel: name, type }), [recent, held, name, type]);
  const { value, watch } = recent.shown;
  const view = useSyncExternalStore(watch, value, value);
  // The effect comes after the render: the events of another channel are not to be seen under this one's name.
  const isNow = isOf(view, { link: held, channel: name, type });
  const events = (isNow ? view.events : none) as readonly EventNamed<E, N>[];
  const refusal = isNow ? view.refusal : undefined;
  return { events, latest: events.at(-1), state: connection.state, error: refusal ?? connection.error };
}

const none: readonly never[] = [];
