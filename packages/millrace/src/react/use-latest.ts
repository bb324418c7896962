import { type RefObject, useInsertionEffect, useRef } from "react";

/**
 * The value of the latest render that is on the page. Written before any other effect, and never while rendering: a render
 * may be thrown away. (`useEffectEvent` would be the same, and is not in React 18.)
 */
export function useLatest<T>(value: T): RefObject<T> {
  const latest = useRef(value);
  useInsertionEffect(() => {
    latest.current = value;
  });
  return latest;
}
