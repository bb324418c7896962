import type { ConnectOptions } from "../client/index.js";
import type { ConnectionOptions } from "./types.js";

const asked = ["fetch", "parse", "snapshot", "onGap"] as const;

/**
 * The options of an opening, whose functions are those of the latest render when they are called. A token that was
 * renewed meanwhile would else never reach a connection that has been there for longer. Headers may be an object, too.
 */
export function upToDate<E extends object>(latest: () => ConnectionOptions<E>): ConnectOptions<E> {
  const { key: _, ...options } = latest();
  const functions = asked.filter((name) => typeof options[name] === "function").map((name) => [name, forward(name)]);
  return {
    ...options,
    ...Object.fromEntries(functions),
    ...("headers" in options && { headers: () => now(latest().headers) ?? {} }),
  };

  function forward(name: (typeof asked)[number]): (...given: unknown[]) => unknown {
    return (...given) => {
      const call = [latest()[name], options[name]].find((each) => typeof each === "function");
      return typeof call === "function" ? Reflect.apply(call, undefined, given) : undefined;
    };
  }
}

const now = <T>(value: T | (() => T | Promise<T>)): T | Promise<T> =>
  typeof value === "function" ? (value as () => T | Promise<T>)() : value;
