import { setImmediate as nextTurn } from "node:timers/promises";
import type { Log } from "../../src/log/index.js";

/** The same log, whose reads take the turns of the event loop that `turns` says: what a remote store would do. */
export function slowLog(log: Log, turns: () => number): Log {
  const read: Log["read"] = (request) => {
    const slice = log.read(request);
    const wait = turns();
    return wait === 0 ? slice : later(wait, slice);
  };
  return new Proxy(log, {
    get: (target, name) => {
      const value: unknown = name === "read" ? read : Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function later<T>(turns: number, value: T): Promise<Awaited<T>> {
  for (let turn = 0; turn < turns; turn++) await nextTurn();
  return await value;
}
