import type { MaybeRefOrGetter } from "vue";
import type { AnyEvents } from "../protocol/index.js";
import { link, type None, type Url } from "../screen/index.js";
import { type Connection, useConnection } from "./use-connection.js";

/** A connection of `useConnection`, or a URL to have one of its own with. Null: nothing. */
export type Source<E extends object = AnyEvents> = Connection<E> | MaybeRefOrGetter<Url | None>;

export function useSource<E extends object>(source: Source<E>): Connection<E> {
  if (typeof source === "object" && source !== null && link in source) return source;
  // biome-ignore lint/correctness/useHookAtTopLevel: a rule of React. Vue calls a composable once, in setup.
  return useConnection<E>(source);
}
