import type { ConnectionEvents, ConnectOptions, connect, ReceivedEvent } from "../client/index.js";
import type { AnyEvents } from "../protocol/index.js";

export type Url = Parameters<typeof connect>[0];

/** In place of a URL or a channel: there is none, or not yet. An empty text is none, too. */
export type None = null | undefined | false;

/** The options of `connect`. They are read at the opening; functions and headers are those of the latest render. */
export interface ConnectionOptions<E extends object = AnyEvents> extends ConnectOptions<E> {
  /** Another one opens it anew, from the start: who reads, for example. Default: none. */
  readonly key?: string | number | undefined;
}

/** The names that `E` knows, and what a connection tells of itself. */
export type KnownName<E extends object> = keyof ConnectionEvents<E> | (keyof E & string);

/** An event of the server, by its name; of names that `E` does not know, `data` is unknown. */
export type EventNamed<E extends object, N> = string extends keyof E
  ? ReceivedEvent
  : N extends keyof E
    ? Extract<ReceivedEvent<E>, { readonly type: N }>
    : ReceivedEvent;

/** What a handler of this name gets. */
export type Told<E extends object, N> = N extends keyof ConnectionEvents<E> ? ConnectionEvents<E>[N] : EventNamed<E, N>;

export type EventHandlers<E extends object, N extends string> = {
  readonly [Name in N]?: ((event: Told<E, Name>) => unknown) | undefined;
};

export interface ChannelOptions<N extends string = string> {
  /** Events of this name only. Default: each. */
  readonly type?: N | undefined;
  /** How many events stay. Default 50. */
  readonly keep?: number | undefined;
}
