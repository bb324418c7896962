import { afterEach, beforeAll, expect } from "vitest";
import { type AnyRequest, type EventStreamOptions, eventStream, type StreamHandler } from "../../../src/index.js";
import { until } from "../../http/support/until.js";
import type { Form } from "./forms.js";

export { deferred, until } from "../../http/support/until.js";
export * from "./forms.js";

/**
 * A route behind a server, and what its errors would say. When it is disposed of, its streams must be gone by themselves or
 * by `close()`: none may be left.
 */
export async function start(
  form: Form,
  handler: StreamHandler<AnyRequest>,
  options: EventStreamOptions<AnyRequest> = {},
) {
  const errors: unknown[] = [];
  const route = eventStream(handler, { heartbeatMs: 0, onError: (error) => errors.push(error), ...options });
  const client = await form.serve(route);
  return {
    ...{ route, errors, call: client.call, port: client.port },
    /** Resolves when no stream is open any more. */
    empty: () => until("no stream is open", () => route.streams.size === 0),
    [Symbol.asyncDispose]: async () => {
      await route.close({ drainMs: 500 });
      await client[Symbol.asyncDispose]();
      expect(route.streams.size).toBe(0);
    },
  };
}

/** Fails a file's tests when a promise is rejected that nobody looks after. */
export function refuseUnhandledRejections(): void {
  const unhandled: unknown[] = [];
  beforeAll(() => {
    const note = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", note);
    return () => process.off("unhandledRejection", note);
  });
  afterEach(async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled.splice(0)).toEqual([]);
  });
}

/** Resolves when a number has stayed as it is for some looks; answers with it. */
export async function settled(value: () => number): Promise<number> {
  let last = value();
  let same = 0;
  await until(
    "it has come to rest",
    () => {
      same = value() === last ? same + 1 : 0;
      last = value();
      return same > 30;
    },
    10_000,
  );
  return last;
}

/** What a promise was rejected with. */
export const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`not rejected: ${value}`);
    },
    (error) => error,
  );
