/** How streams end: by themselves, by their handler, by their time, by the route. */
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { EventStream } from "../../src/index.js";
import { connectRaw } from "../http/support/raw.js";
import { deferred, forms, http1, refuseUnhandledRejections, rejection, settled, start } from "./support/index.js";

refuseUnhandledRejections();
afterEach(() => void vi.useRealTimers());

/** The clock of deadlines and heartbeats; sockets and `until` have the real one. */
const stopClock = () => vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
const padding = "x".repeat(64 * 1024);

describe.each(forms)("over $name", (form) => {
  test("close() ends it once, behind what was sent; signal and closed say so", async () => {
    const ended = deferred<EventStream>();
    const fired: unknown[] = [];
    await using server = await start(form, async (stream) => {
      const early = stream.closed;
      stream.signal.addEventListener("abort", () => fired.push(stream.signal.reason));
      void stream.send("first");
      stream.close({ reason: "enough" });
      stream.close({ reconnect: false, reason: "never said" });
      expect(await rejection(stream.send("late"))).toMatchObject({ code: "stream_closed" });
      expect(await rejection(stream.comment("late"))).toMatchObject({ code: "stream_closed" });
      expect(await rejection(stream.retry(1))).toMatchObject({ code: "stream_closed" });
      expect(
        await rejection(stream.pipe(new Blob(["late"]).stream().pipeThrough(new TextDecoderStream()))),
      ).toMatchObject({ code: "stream_closed" });
      await early;
      await stream.closed;
      stream.close();
      ended.resolve(stream);
    });
    const answer = await server.call();
    const all = await answer.events.rest();
    expect(all.map(({ data }) => data)).toEqual(["first", '{"reason":"enough","reconnect":true}']);
    const stream = await ended.promise;
    expect([stream.signal.aborted, fired.length]).toEqual([true, 1]);
    await server.empty();
    expect(server.errors).toEqual([]);
  });

  test("signal and closed, asked for when it is over", async () => {
    let kept: EventStream | undefined;
    await using server = await start(form, (stream) => {
      kept = stream;
      stream.close({ reconnect: false });
    });
    await (await server.call()).text();
    await server.empty();
    expect(kept?.signal.aborted).toBe(true);
    expect(kept?.signal.reason).toMatchObject({ code: "stream_closed" });
    await kept?.closed;
  });

  test("close() in the middle of a full stream: what was taken comes, then the end", { timeout: 30_000 }, async () => {
    let sent = 0;
    const rejected = deferred<unknown>();
    await using server = await start(form, async (stream) => {
      stream.signal.addEventListener("abort", () => {});
      try {
        for (; ; sent++) await stream.send(`${sent} ${padding}`);
      } catch (error) {
        rejected.resolve(error);
      }
    });
    const answer = await server.call();
    const last = await settled(() => sent);
    const [stream] = server.route.streams;
    stream?.close({ reconnect: false });
    expect(await rejected.promise).toMatchObject({ code: "stream_closed" });
    const all = await answer.events.rest();
    expect(all.map(({ data }) => Number.parseInt(data, 10)).slice(0, -1)).toEqual(
      Array.from({ length: last + 1 }, (_, at) => at),
    );
    expect(all.at(-1)).toMatchObject({ type: "millrace.close", lastEventId: "millrace.closed" });
    await server.empty();
  });

  test("credentials that run out end the stream within their second, and its client comes back", async () => {
    stopClock();
    const expiresAtMs = Date.now() + 10_000;
    await using server = await start(form, (stream) => void stream.send(String(stream.identity.expiresAtMs)), {
      authorize: () => ({ user: "ann", expiresAtMs }),
    });
    const answer = await server.call();
    expect((await answer.events.next()).data).toBe(String(expiresAtMs));
    vi.advanceTimersByTime(9900);
    expect(server.route.streams.size).toBe(1);
    vi.advanceTimersByTime(700);
    expect(await answer.events.rest()).toMatchObject([
      { type: "millrace.close", data: '{"reason":"expired","reconnect":true}' },
    ]);
    await server.empty();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("route.streams are those that are open; route.close() ends them and refuses more", async () => {
    const tidied: string[] = [];
    await using server = await start(form, (stream) => {
      void stream.send(stream.id);
      return () => void tidied.push(stream.id);
    });
    const answers = [await server.call(), await server.call(), await server.call()];
    const ids = await Promise.all(answers.map(async ({ events }) => (await events.next()).data));
    expect([...server.route.streams].map(({ id }) => id).sort()).toEqual([...ids].sort());
    answers[0]?.leave();
    await vi.waitUntil(() => server.route.streams.size === 2);
    const closed = server.route.close();
    for (const { events } of answers.slice(1)) {
      expect(await events.rest()).toMatchObject([{ data: '{"reason":"shutdown","reconnect":true}' }]);
    }
    await closed;
    expect(server.route.streams.size).toBe(0);
    expect(tidied.sort()).toEqual(ids.sort());
    const late = await server.call();
    expect([late.status, late.header("retry-after")]).toEqual([503, "1"]);
    expect(await late.problem()).toMatchObject({ code: "closed" });
    await server.route.close();
  });

  test("route.close() cuts those that do not read", { timeout: 30_000 }, async () => {
    let sent = 0;
    await using server = await start(form, async (stream) => {
      for (; ; sent++) await stream.send(padding);
    });
    const answer = await server.call();
    await settled(() => sent);
    await server.route.close({ drainMs: 50 });
    expect(server.route.streams.size).toBe(0);
    answer.leave();
  });
});

// Not over Fetch: a body that nobody reads any more is no connection of ours, the runtime has it.
test.each(forms.filter(({ kind }) => kind === "node"))(
  "over $name, a client that does not read what close() said is cut after five seconds",
  { timeout: 30_000 },
  async (form) => {
    stopClock();
    let sent = 0;
    await using server = await start(form, async (stream) => {
      for (; ; sent++) await stream.send(padding);
    });
    const answer = await server.call();
    await settled(() => sent);
    const [stream] = server.route.streams;
    stream?.close();
    vi.advanceTimersByTime(4900);
    for (let more = 0; more < 10; more++) await turn();
    expect(server.route.streams.size).toBe(1);
    vi.advanceTimersByTime(600);
    await server.empty();
    await stream?.closed;
    expect((await answer.events.rest()).some(({ type }) => type === "millrace.close")).toBe(false);
  },
);

describe("heartbeats", () => {
  describe.each(forms)("over $name", (form) => {
    test.each([
      [undefined, 15_000],
      [30_000, 30_000],
      [1600, 1600],
    ])(
      "heartbeatMs %s: one each %i ms, also to a stream that has just been written to",
      async (heartbeatMs, everyMs) => {
        stopClock();
        await using server = await start(
          form,
          () => {},
          heartbeatMs === undefined ? { heartbeatMs: 15_000 } : { heartbeatMs },
        );
        const { events, header } = await server.call();
        expect(header("millrace-heartbeat-ms")).toBe(String(everyMs));
        for (let beat = 1; beat <= 3; beat++) {
          vi.advanceTimersByTime(everyMs);
          await events.readUntil("a heartbeat", () => events.comments.length > beat);
          expect(events.comments[beat]).toMatch(/^keepalive \d{13}$/);
          expect(events.comments.length).toBe(beat + 1);
        }
      },
    );

    test("as an event that page code sees", async () => {
      stopClock();
      await using server = await start(form, () => {}, { heartbeatMs: 1000, heartbeatForm: "event" });
      const { events } = await server.call();
      vi.advanceTimersByTime(1010);
      const { type, data, lastEventId } = await events.next();
      expect([type, lastEventId]).toEqual(["heartbeat", ""]);
      expect(JSON.parse(data)).toEqual({ type: "heartbeat", timestamp: expect.any(Number) });
    });

    test("none when they are off, and none after the end", async () => {
      stopClock();
      const opened = deferred<EventStream>();
      await using server = await start(form, (stream) => opened.resolve(stream), { heartbeatMs: 0 });
      const { events, header } = await server.call();
      expect(header("millrace-heartbeat-ms")).toBe("0");
      vi.advanceTimersByTime(600_000);
      (await opened.promise).close();
      await events.rest();
      expect(events.comments).toEqual([""]);
    });

    test("none to a client that does not read: it would only be more to wait for", { timeout: 30_000 }, async () => {
      stopClock();
      let sent = 0;
      await using server = await start(
        form,
        async (stream) => {
          for (; sent < 600; sent++) await stream.send(padding);
        },
        { heartbeatMs: 1000 },
      );
      const { events } = await server.call();
      await settled(() => sent);
      vi.advanceTimersByTime(60_000);
      await events.data(600);
      await events.rest();
      expect(events.comments).toEqual([""]);
    });
  });

  test("no timer runs while no stream is open", async () => {
    stopClock();
    await using server = await start(http1, () => {}, { heartbeatMs: 1000 });
    expect(vi.getTimerCount()).toBe(0);
    const answer = await server.call();
    expect(vi.getTimerCount()).toBe(2);
    answer.leave();
    await server.empty();
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("a client that half-closes has left", async () => {
  await using server = await start(http1, () => {});
  const client = await connectRaw(server.port);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await client.hears("\r\n\r\n: \n\n");
  client.socket.end();
  await client.closed;
  await server.empty();
});

test("a request behind a stream on its connection is no part of it: the connection is cut", async () => {
  await using server = await start(http1, () => {});
  const client = await connectRaw(server.port);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await client.hears("\r\n\r\n: \n\n");
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await client.closed;
  expect(client.heard().match(/HTTP\/1\.1/g)).toHaveLength(1);
  await server.empty();
});
