import { type ComputedRef, computed, type MaybeRefOrGetter, toValue } from "vue";
import type { ConnectionState } from "../client/index.js";
import type { AnyEvents } from "../protocol/index.js";
import { type ChannelOptions, type EventNamed, isOf, link, type None, Recent } from "../screen/index.js";
import { shownRef } from "./shown-ref.js";
import { type Source, useSource } from "./use-source.js";
import { whileMounted } from "./while-mounted.js";

/** The last events of a channel. */
export interface Channel<T> {
  /** The newest last. */
  readonly events: ComputedRef<readonly T[]>;
  /** The newest of them. */
  readonly latest: ComputedRef<T | undefined>;
  readonly state: ComputedRef<ConnectionState>;
  /** Why the server does not give this channel, or the connection's error. */
  readonly error: ComputedRef<Error | undefined>;
}

/**
 * The last events of a channel, from now on: 50, or as many as `keep` says. A burst of events is one change.
 *
 * On a connection of `useConnection` the channel is added to the open stream while somebody uses it, and dropped after
 * the last: many components, many channels, one connection. With `*` nothing is added: it is all that the connection
 * reads. Null: nothing.
 *
 *     const { events } = useChannel(connection, "news", { type: "headline" });
 *     const { latest } = useChannel(connection, () => `room/${props.room}`);
 *
 * @throws MillraceError `invalid_channel` or `invalid_option`, to Vue's error handlers
 */
export function useChannel<E extends object = AnyEvents, N extends string = keyof E & string>(
  source: Source<E>,
  channel: MaybeRefOrGetter<string | None>,
  options: MaybeRefOrGetter<ChannelOptions<N>> = {},
): Channel<EventNamed<E, N>> {
  const connection = useSource(source);
  const look = () => ({ link: connection[link], channel: toValue(channel) || null, type: toValue(options).type });
  const keep = () => toValue(options).keep ?? 50;
  const recent = new Recent<E>();
  whileMounted([keep], () => void recent.keep(keep()));
  whileMounted([() => look().channel, () => look().type], () => recent.follow(look()));
  const view = shownRef(recent.shown);
  // The watcher comes after the change: the events of another channel are not to be seen under this one's name.
  const now = computed(() => (isOf(view.value, look()) ? view.value : undefined));
  const events = computed(() => (now.value?.events ?? none) as readonly EventNamed<E, N>[]);
  return {
    events,
    latest: computed(() => events.value.at(-1)),
    state: connection.state,
    error: computed(() => now.value?.refusal ?? connection.error.value),
  };
}

const none: readonly never[] = [];
