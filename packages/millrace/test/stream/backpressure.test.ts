import { EventEmitter } from "node:events";
/** Clients that are slower than their handler. */
import { describe, expect, test } from "vitest";
import type { AnyRequest, EventStream, StreamHandler } from "../../src/index.js";
import { heldBytes } from "../http/support/memory.js";
import {
  deferred,
  forms,
  http1,
  refuseUnhandledRejections,
  rejection,
  settled,
  start,
  until,
} from "./support/index.js";

refuseUnhandledRejections();

const mebibyte = 1024 * 1024;
const eventBytes = 64 * 1024;
const padding = "x".repeat(eventBytes);
/** More than sockets and the kernel between them hold. */
const events = (40 * mebibyte) / eventBytes;
/** What a path from the stream to its client holds at most when it is not read: the kernel's share is its own. */
const pathBytes = 24 * mebibyte;

const numbers = (data: readonly string[]): number[] => data.map((text) => Number.parseInt(text, 10));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

/** Whether its client is behind. */
const isFull = (stream: EventStream): boolean => (stream as EventStream & { readonly isFull: boolean }).isFull;

/** Sends without waiting until the client is slow, and `more` beyond. Answers how many it were. */
function fill(stream: EventStream, more: number): number {
  let sent = 0;
  while (!isFull(stream)) void stream.send(`${sent++} ${padding}`);
  for (let n = 0; n < more; n++) void stream.send(`${sent++} ${padding}`);
  return sent;
}

describe.each(forms)("a reader that stalls over $name", (form) => {
  test("stops whoever waits for it, costs no memory, and reads on with nothing lost", { timeout: 30_000 }, async () => {
    let sent = 0;
    await using server = await start(form, async (stream) => {
      for (; sent < events; sent++) await stream.send(`${sent} ${padding}`);
    });
    const before = heldBytes();
    const answer = await server.call();
    const stopped = await settled(() => sent);
    expect(stopped * eventBytes).toBeLessThan(form.socket ? pathBytes : 2 * eventBytes + 1);
    expect(heldBytes() - before).toBeLessThan(4 * mebibyte);
    expect(numbers(await answer.events.data(events))).toEqual(upTo(events));
    expect(await answer.events.rest()).toMatchObject([{ type: "millrace.close" }]);
    expect(sent).toBe(events);
    expect(server.errors).toEqual([]);
  });

  test("what is sent without waiting is bounded: beyond that the stream is cut, and told", {
    timeout: 30_000,
  }, async () => {
    await using server = await start(form, () => {}, { maxUnsentBytes: 10 * eventBytes });
    const answer = await server.call();
    const [stream] = server.route.streams;
    if (!stream) throw new Error("no stream is open");
    // Twice: what has gone does not count any more.
    for (let round = 0; round < 2; round++) {
      const sent = fill(stream, 9); // each has its frame beside its 64 KiB
      expect(numbers(await answer.events.data(sent))).toEqual(upTo(sent));
    }
    fill(stream, 9);
    expect(server.errors).toEqual([]);
    await expect(stream.send(padding)).rejects.toMatchObject({ name: "MillraceError", code: "stream_full" });
    expect(server.errors).toMatchObject([{ code: "stream_full" }]);
    await expect(stream.send("after")).rejects.toMatchObject({ code: "stream_full" });
    expect(stream.signal.reason).toMatchObject({ code: "stream_full" });
    await answer.events.rest();
    await server.empty();
  });

  test("an emitter and its other listeners hear nothing of it", { timeout: 30_000 }, async () => {
    const emitter = new EventEmitter();
    let heard = 0;
    await using server = await start(
      form,
      (stream) => {
        const tell = (text: string) => stream.send(text);
        emitter.on("text", tell);
        return () => emitter.off("text", tell);
      },
      { maxUnsentBytes: eventBytes },
    );
    const answer = await server.call();
    emitter.on("text", () => heard++);
    let emitted = 0;
    while (emitter.listenerCount("text") === 2) {
      emitter.emit("text", padding);
      emitted++;
    }
    expect(heard).toBe(emitted);
    expect(server.errors).toMatchObject([{ code: "stream_full" }]);
    await answer.events.rest();
    await server.empty();
  });

  test("a large batch out of a callback ends nothing, nor does a handler that goes on when its client has left", async () => {
    let lateRefusals = 0;
    await using server = await start(
      form,
      async (stream) => {
        for (let n = 0; n < 10_000; n++) void stream.send(padding);
        while (lateRefusals < 300) await stream.send("to nobody").catch(() => lateRefusals++);
      },
      { maxUnsentBytes: eventBytes },
    );
    const answer = await server.call();
    await answer.events.rest();
    await until("it goes on", () => lateRefusals === 300);
    await server.empty();
    expect(server.errors).toMatchObject([{ code: "stream_full" }]);
  });

  test("a loop that waits for nothing is ended", async () => {
    await using server = await start(form, async (stream) => {
      for (;;) void stream.send(padding);
    });
    const answer = await server.call();
    await answer.events.rest();
    await server.empty();
    expect(server.errors).toMatchObject([{ code: "stream_full" }]);
  });

  test("a source is asked for no more, and reads on", { timeout: 30_000 }, async () => {
    let asked = 0;
    let returned = 0;
    await using server = await start(form, async function* () {
      try {
        while (asked < events) yield `${asked++} ${padding}`;
      } finally {
        returned++;
      }
    });
    const answer = await server.call();
    expect((await settled(() => asked)) * eventBytes).toBeLessThan(form.socket ? pathBytes : 2 * eventBytes + 1);
    expect(numbers(await answer.events.data(events))).toEqual(upTo(events));
    await answer.events.rest();
    expect([asked, returned]).toEqual([events, 1]);
  });

  test("a source behind what was sent without waiting is asked when that has gone", { timeout: 30_000 }, async () => {
    const opened = deferred<number>();
    let fullAtFirst = true;
    let asked = 0;
    await using server = await start(form, (stream) => {
      const sent = fill(stream, 9);
      opened.resolve(sent);
      return (async function* () {
        fullAtFirst = isFull(stream);
        while (asked < 3) yield `${sent + asked++} ${padding}`;
      })();
    });
    const answer = await server.call();
    const sent = await opened.promise;
    expect(numbers(await answer.events.data(sent + 3))).toEqual(upTo(sent + 3));
    expect(fullAtFirst).toBe(false);
    expect(server.errors).toEqual([]);
  });

  test("one that leaves rejects the send that waits, and tells the source", { timeout: 30_000 }, async () => {
    const left = deferred<unknown>();
    let returned = 0;
    let asked = 0;
    await using server = await start(form, async (stream) => {
      async function* source() {
        try {
          for (;;) yield `${asked++} ${padding}`;
        } finally {
          returned++;
        }
      }
      left.resolve(await rejection(stream.pipe(source())));
    });
    const answer = await server.call();
    const stopped = await settled(() => asked);
    answer.leave();
    expect(await left.promise).toMatchObject({ code: "stream_closed" });
    await server.empty();
    await until("the source has been told", () => returned === 1);
    expect(asked).toBe(stopped);
    expect(server.errors).toEqual([]);
  });

  test("a source that has nothing to say is told, too", async () => {
    let returned = 0;
    await using server = await start(form, () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>(() => {}),
        return: async () => ({ done: true, value: returned++ }),
      }),
    }));
    const answer = await server.call();
    answer.leave();
    await server.empty();
    await until("the source has been told", () => returned === 1);
    expect(server.errors).toEqual([]);
  });

  test("what nobody waits for does no harm when the client leaves", { timeout: 30_000 }, async () => {
    let sent = 0;
    let told = 0;
    await using server = await start(form, (stream) => {
      sent = fill(stream, 3);
      async function* fails() {
        yield "x";
        throw new Error("mine");
      }
      void stream.pipe(fails());
      void stream.comment("x".repeat(10));
      void stream.retry(5);
      return () => {
        told++;
        void stream.send("to nobody");
        void stream.comment("to nobody");
        void stream.pipe(fails());
      };
    });
    const answer = await server.call();
    await until("it is full", () => sent > 0);
    answer.leave();
    await server.empty();
    expect(told).toBe(1);
    expect(server.errors).toEqual([]);
  });

  test("one that stalls holds up no other", { timeout: 30_000 }, async () => {
    let sent = 0;
    await using server = await start(form, async (stream) => {
      if (stream.lastEventId === "quick") return stream.send("quick");
      for (; ; sent++) await stream.send(padding);
    });
    const stalled = await server.call();
    await settled(() => sent);
    const quick = await server.call({ headers: { "last-event-id": "quick" } });
    expect((await quick.events.next()).data).toBe("quick");
    stalled.leave();
  });
});

test.each<[string, (count: () => void) => StreamHandler<AnyRequest>]>([
  [
    "a loop",
    (count) => async (stream) => {
      for (let n = 0; n < 2000; n++, count()) await stream.send("x");
    },
  ],
  [
    "a source",
    (count) =>
      async function* () {
        for (let n = 0; n < 2000; n++, count()) yield "x";
      },
  ],
])("%s that waits for nothing else lets others have their turn", async (_what, handler) => {
  const turns = new Set<number>();
  let turnNumber = 0;
  let ticking = setImmediate(function tick() {
    turnNumber++;
    ticking = setImmediate(tick);
  });
  await using server = await start(
    http1,
    handler(() => turns.add(turnNumber)),
  );
  const answer = await server.call();
  await answer.events.rest();
  clearImmediate(ticking);
  expect(turns.size).toBeGreaterThan(10);
});
