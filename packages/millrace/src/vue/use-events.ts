import { onScopeDispose } from "vue";
import type { AnyEvents } from "../protocol/index.js";
import { type EventHandlers, type KnownName, link, type Told } from "../screen/index.js";
import type { Connection } from "./use-connection.js";
import { type Source, useSource } from "./use-source.js";

/**
 * Calls handlers with events, by their names: `message` for those without one, `*` for any, or what a connection tells of
 * itself (`open`, `state`, `error`, `gap`, …), until the scope ends. What a handler throws goes where it goes with `connect`.
 *
 *     useEvents(connection, "price", ({ data }) => show(data));
 *     useEvents("/events?channel=news", { message: ({ data }) => add(data), alert: ({ data }) => warn(data) });
 *
 * @returns the connection that it was given, or its own
 */
export function useEvents<E extends object = AnyEvents, N extends string = KnownName<E>>(
  source: Source<E>,
  handlers: EventHandlers<E, N>,
): Connection<E>;
export function useEvents<E extends object = AnyEvents, N extends string = KnownName<E>>(
  source: Source<E>,
  type: N,
  handler: (event: Told<E, N>) => unknown,
): Connection<E>;
export function useEvents<E extends object>(
  source: Source<E>,
  given: string | Handlers,
  handler?: Handlers[string],
): Connection<E> {
  const connection = useSource(source);
  for (const [name, call] of Object.entries(typeof given === "string" ? { [given]: handler } : given)) {
    if (call) onScopeDispose(connection[link].on(name, call));
  }
  return connection;
}

type Handlers = Readonly<Record<string, ((event: never) => unknown) | undefined>>;
