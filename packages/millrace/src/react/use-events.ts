import { useEffect } from "react";
import type { AnyEvents } from "../protocol/index.js";
import { type EventHandlers, type KnownName, link, type Told } from "../screen/index.js";
import type { Connection } from "./use-connection.js";
import { useLatest } from "./use-latest.js";
import { type Source, useSource } from "./use-source.js";

/**
 * Calls handlers with events, by their names: `message` for those without one, `*` for any, or what a connection tells of
 * itself (`open`, `state`, `error`, `gap`, …). It is always the handler of the latest render, and a change of it costs nothing.
 * What a handler throws goes where it goes with `connect`.
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
  const handlers = typeof given === "string" ? { [given]: handler } : given;
  const latest = useLatest(handlers);
  const held = connection[link];
  const names = JSON.stringify(Object.keys(handlers).sort());
  useEffect(() => {
    const forgets = (JSON.parse(names) as string[]).map((name) =>
      held.on(name, (event) => latest.current[name]?.(event)),
    );
    return () => {
      for (const forget of forgets) forget();
    };
  }, [held, names, latest]);
  return connection;
}

type Handlers = Readonly<Record<string, ((event: never) => unknown) | undefined>>;
