/** What a handler may return, and what it may throw. */
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { AnyRequest, EventStream, StreamHandler } from "../../src/index.js";
import { deferred, forms, http1, refuseUnhandledRejections, start, until } from "./support/index.js";

refuseUnhandledRejections();

const done = { type: "millrace.close", data: '{"reason":"done","reconnect":false}' };
const again = { type: "millrace.close", data: '{"reason":"done","reconnect":true}' };

async function* three() {
  yield "1";
  await turn();
  yield { data: 2 };
  yield { event: "last", data: "3" };
}

/** An iterable that is no generator. */
const counting: AsyncIterable<string> = {
  [Symbol.asyncIterator]: () => {
    let n = 0;
    return { next: async () => (n < 3 ? { done: false, value: String(++n) } : { done: true, value: undefined }) };
  },
};

const sources: [string, StreamHandler<AnyRequest>][] = [
  ["an async generator", three],
  ["what returns an iterable", () => counting],
  ["what promises an iterable", async () => three()],
  ["what returns a list", () => ["1", { data: 2 }, { event: "last", data: "3" }]],
  [
    "a generator that waits for nothing",
    function* () {
      for (const data of ["1", "2", "3"]) yield { data };
    },
  ],
  ["what pipes one", (stream) => stream.pipe(three())],
  ["what pipes a stream", (stream) => stream.pipe(new Blob(["1\n2\n3"]).stream().pipeThrough(lines()))],
  [
    "what promises nothing",
    async (stream) => {
      for (const data of ["1", "2", "3"]) await stream.send({ data });
    },
  ],
];

function lines(): TransformStream<Uint8Array, string> {
  return new TransformStream({
    transform: (bytes, controller) => {
      for (const line of Buffer.from(bytes).toString().split("\n")) controller.enqueue(line);
    },
  });
}

describe.each(forms)("over $name", (form) => {
  test.each(sources)("%s: its events, then a farewell", async (_what, handler) => {
    await using server = await start(form, handler);
    const { events } = await server.call();
    const all = await events.rest();
    expect(all.map(({ data }) => data)).toEqual(["1", "2", "3", done.data]);
    await server.empty();
    expect(server.errors).toEqual([]);
  });

  test("nothing: the stream stays until close()", async () => {
    const opened = deferred<EventStream>();
    await using server = await start(form, (stream) => {
      void stream.send("first");
      opened.resolve(stream);
    });
    const { events } = await server.call();
    const stream = await opened.promise;
    expect((await events.next()).data).toBe("first");
    expect(stream.signal.aborted).toBe(false);
    stream.close();
    expect(await events.rest()).toMatchObject([again]);
  });

  test.each(["sync", "async", "promised"])("a function (%s): called once, when the client leaves", async (way) => {
    let calls = 0;
    const count = () => void calls++;
    const tidy = way === "async" ? () => turn().then(count) : count;
    await using server = await start(form, (stream) => {
      void stream.send("first");
      return way === "promised" ? Promise.resolve(tidy) : tidy;
    });
    const answer = await server.call();
    await answer.events.next();
    await turn();
    expect([calls, server.route.streams.size]).toEqual([0, 1]);
    answer.leave();
    await server.empty();
    await until("it has been called", () => calls === 1);
    await turn();
    expect(calls).toBe(1);
    expect(server.errors).toEqual([]);
  });

  test("a function: called once by close(), too, and also when that comes first", async () => {
    const order: string[] = [];
    await using server = await start(form, (stream) => {
      stream.close();
      stream.close();
      order.push("closed");
      return () => void order.push("tidied");
    });
    const answer = await server.call();
    expect(await answer.events.rest()).toMatchObject([again]);
    await server.empty();
    expect(order).toEqual(["closed", "tidied"]);
  });

  test.each<[string, StreamHandler<AnyRequest>]>([
    [
      "at once",
      () => {
        throw new Error("mine");
      },
    ],
    ["as a promise", () => Promise.reject(new Error("mine"))],
    [
      "within a source",
      // biome-ignore lint/correctness/useYield: it fails before the first
      async function* () {
        throw new Error("mine");
      },
    ],
    [
      "in making a source",
      () => ({
        [Symbol.asyncIterator]: () => {
          throw new Error("mine");
        },
      }),
    ],
  ])("a handler that throws %s, before its first event: cut, and told", async (_when, handler) => {
    await using server = await start(form, handler);
    const all = await server.call().then(
      ({ events }) => events.rest(),
      () => [], // the connection may be gone before the head is read
    );
    expect(all).toEqual([]);
    await server.empty();
    expect(server.errors).toEqual([new Error("mine")]);
  });

  test("a handler that throws in between: no farewell, so that the client comes back", async () => {
    const read = deferred<void>();
    await using server = await start(form, async (stream) => {
      await stream.send({ id: "1", data: "before" });
      await read.promise;
      throw new Error("mine");
    });
    const { events } = await server.call();
    expect((await events.next()).data).toBe("before");
    read.resolve();
    expect(await events.rest()).toEqual([]);
    expect(events.lastEventId).toBe("1");
    await server.empty();
    expect(server.errors).toEqual([new Error("mine")]);
  });

  test("a source that throws in between: the same", async () => {
    const read = deferred<void>();
    await using server = await start(form, async function* () {
      yield "before";
      await read.promise;
      throw new Error("mine");
    });
    const { events } = await server.call();
    expect((await events.next()).data).toBe("before");
    read.resolve();
    expect(await events.rest()).toEqual([]);
    await server.empty();
    expect(server.errors).toEqual([new Error("mine")]);
  });

  test.each(["sync", "async"])("a clean-up that throws (%s) is told, and holds nothing up", async (way) => {
    const fail = () => {
      throw new Error("mine");
    };
    await using server = await start(form, () => (way === "async" ? async () => fail() : fail));
    const answer = await server.call();
    answer.leave();
    await server.empty();
    await until("it is told", () => server.errors.length > 0);
    expect(server.errors).toEqual([new Error("mine")]);
  });

  test("a handler that never returns holds nothing but itself", async () => {
    const never = new Promise<void>(() => {});
    await using server = await start(form, () => never);
    const answer = await server.call();
    answer.leave();
    await server.empty();
    const other = await server.call();
    await server.route.close({ drainMs: 500 });
    expect(await other.events.rest()).toMatchObject([{ data: '{"reason":"shutdown","reconnect":true}' }]);
  });

  test("what the handler throws after the client has left is told, unless it says only that", async () => {
    const left = deferred<void>();
    await using server = await start(form, async (stream) => {
      await stream.closed;
      left.resolve();
      if (stream.lastEventId === "fail") throw new Error("mine");
      await stream.send("to nobody");
    });
    (await server.call()).leave();
    (await server.call({ headers: { "last-event-id": "fail" } })).leave();
    await left.promise;
    await server.empty();
    await until("it is told", () => server.errors.length > 0);
    expect(server.errors).toEqual([new Error("mine")]);
  });

  test("the stream_closed of another stream is an error of this one", async () => {
    let first: EventStream | undefined;
    await using server = await start(form, async (stream) => {
      if (!first) {
        first = stream;
        stream.close();
        return;
      }
      await first.send("to nobody");
    });
    await (await server.call()).text();
    const second = await server.call().then(
      ({ events }) => events.rest(),
      () => [],
    );
    expect(second).toEqual([]);
    expect(server.errors).toMatchObject([{ code: "stream_closed" }]);
  });
});

test("a source whose next() fails is not told to return: it has ended itself", async () => {
  let returned = 0;
  await using server = await start(http1, () => ({
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.reject(new Error("mine")),
      return: async () => ({ done: true, value: ++returned }),
    }),
  }));
  await server.call().catch(() => {});
  await server.empty();
  expect([server.errors, returned]).toEqual([[new Error("mine")], 0]);
});
