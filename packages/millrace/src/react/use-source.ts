import type { AnyEvents } from "../protocol/index.js";
import { link, type None, type Url } from "../screen/index.js";
import { type Connection, useConnection } from "./use-connection.js";

/** A connection of `useConnection`, or a URL to have one of its own with. Null: nothing. */
export type Source<E extends object = AnyEvents> = Connection<E> | Url | None;

export function useSource<E extends object>(source: Source<E>): Connection<E> {
  const given = typeof source === "object" && source !== null && link in source ? source : undefined;
  const own = useConnection<E>(given ? null : (source as Url | None));
  return given ?? own;
}
