/** What one handler writes to one client: M1, M2, M3, M8. */

import http from "node:http";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { eventStream, MillraceError, type SendEvent } from "../../src/index.js";
import { listen } from "../http/support/forms.js";
import { connectRaw } from "../http/support/raw.js";
import { deferred, forms, http1, refuseUnhandledRejections, rejection, start, until } from "./support/index.js";

refuseUnhandledRejections();

describe.each(forms)("over $name", (form) => {
  test("a hundred events in a loop, then a farewell, then the end", async () => {
    await using server = await start(form, async (stream) => {
      for (let n = 1; n <= 100; n++) {
        await stream.send({ event: "tick", id: `data-${n}`, data: { n } });
        if (n % 10 === 0) await sleep(1);
      }
    });
    const { status, events } = await server.call();
    expect(status).toBe(200);
    for (let n = 1; n <= 100; n++) {
      expect(await events.next()).toMatchObject({ type: "tick", lastEventId: `data-${n}`, data: `{"n":${n}}` });
    }
    expect(await events.rest()).toMatchObject([
      { type: "millrace.close", lastEventId: "millrace.closed", data: '{"reason":"done","reconnect":false}' },
    ]);
    await server.empty();
    expect(server.errors).toEqual([]);
  });

  test("a client that leaves ends the loop, and nothing is written to nobody", async () => {
    const over = deferred<unknown>();
    let sent = 0;
    await using server = await start(form, async (stream) => {
      try {
        for (;;) {
          await stream.send({ data: sent++ });
          await turn();
        }
      } catch (error) {
        over.resolve(error);
        expect(stream.signal.aborted).toBe(true);
        await stream.closed;
        throw error;
      }
    });
    const answer = await server.call();
    expect(await answer.events.data(3)).toEqual(["0", "1", "2"]);
    answer.leave();
    expect(await over.promise).toMatchObject({ name: "MillraceError", code: "stream_closed" });
    await server.empty();
    const count = sent;
    for (let more = 0; more < 10; more++) await turn();
    expect(sent).toBe(count);
    expect(server.errors).toEqual([]); // it only says that the stream is over
  });

  test("what waits with the stream's signal ends with it, and is no error", async () => {
    const opened = deferred<AbortSignal>();
    const rejected = deferred<unknown>();
    await using server = await start(form, async (stream) => {
      opened.resolve(stream.signal);
      const waiting = sleep(60_000, undefined, { signal: stream.signal });
      waiting.catch(rejected.resolve);
      await waiting;
    });
    const answer = await server.call();
    const signal = await opened.promise;
    answer.leave();
    await rejected.promise;
    expect(signal.reason).toMatchObject({ code: "stream_closed" });
    await server.empty();
    await turn();
    expect(server.errors).toEqual([]);
  });

  test("every field, as the standard has it", async () => {
    const events: (SendEvent | string)[] = [
      "text",
      { data: "one\ntwo\rthree\r\nfour\n" },
      { data: "" },
      { event: "named" },
      { event: "json", id: "conn-1", data: { a: [1, "two", null], b: "Zürich 🎉\u2028" } },
      { data: 5 },
      { data: null },
      { data: false },
      { id: "7", data: "x", retry: 3000, channel: "news" },
      { id: "cursor" },
      { id: "", data: " leading and trailing " },
      { data: "Grüße 🎉 \u0085" },
    ];
    await using server = await start(
      form,
      async (stream) => {
        for (const event of events) await stream.send(event);
        await stream.comment("note\r\nfield: x");
        await stream.retry(5000);
        stream.close({ reason: "that\nwas all", reconnect: true });
      },
      { retryMs: 10_000 },
    );
    expect(await (await server.call()).text()).toBe(
      [
        "retry: 10000\n",
        "data: text\n",
        "data: one\ndata: two\ndata: three\ndata: four\ndata: \n",
        "data: \n",
        "event: named\ndata: \n",
        'id: conn-1\nevent: json\ndata: {"a":[1,"two",null],"b":"Zürich 🎉\u2028"}\n',
        "data: 5\n",
        "data: null\n",
        "data: false\n",
        "id: 7\nchannel: news\nretry: 3000\ndata: x\n",
        "id: cursor\n",
        "id: \ndata:  leading and trailing \n",
        "data: Grüße 🎉 \u0085\n",
        ": note\n: field: x\n",
        "retry: 5000\n",
        'event: millrace.close\ndata: {"reason":"that\\nwas all","reconnect":true}\n',
        "",
      ].join("\n"),
    );
  });

  test("the head comes before there is anything to say", async () => {
    const go = deferred<void>();
    await using server = await start(form, async (stream) => {
      await go.promise;
      await stream.send("late");
    });
    const answer = await server.call();
    await answer.events.readUntil("the opening comment", () => answer.events.comments.length === 1);
    go.resolve();
    expect((await answer.events.next()).data).toBe("late");
  });

  test("a client that was told not to come back gets 204, and the handler is not called", async () => {
    let called = 0;
    await using server = await start(form, () => void called++);
    const answer = await server.call({ headers: { "Last-Event-ID": "millrace.closed" } });
    expect([answer.status, await answer.text(), called]).toEqual([204, "", 0]);
  });

  test("one that comes back says what it had last", async () => {
    await using server = await start(form, async (stream) => {
      await stream.send({ data: stream.lastEventId });
      await stream.send({ data: stream.id });
    });
    const answer = await server.call({ headers: { "Last-Event-ID": Buffer.from("stück-7").toString("latin1") } });
    expect(await answer.events.data(2)).toEqual(["stück-7", answer.header("millrace-connection")]);
    const fresh = await server.call();
    expect((await fresh.events.next()).data).toBe("");
    expect(fresh.header("millrace-connection")).not.toBe(answer.header("millrace-connection"));
    expect(fresh.header("millrace-connection")).toMatch(/^[\da-f-]{36}$/);
  });

  test("the headers that caches, proxies and browsers need", async () => {
    await using server = await start(form, () => {}, { heartbeatMs: 30_000, headers: { "X-Client-ID": "7" } });
    const answer = await server.call();
    const headers = {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-store, must-revalidate, no-transform",
      pragma: "no-cache",
      expires: "0",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
      "millrace-heartbeat-ms": "30000",
      "x-client-id": "7",
    };
    expect(Object.fromEntries(Object.keys(headers).map((name) => [name, answer.header(name)]))).toEqual(headers);
    expect(answer.header("content-length")).toBeUndefined();
    expect(answer.header("content-encoding")).toBeUndefined();
  });
});

test("the whole head, byte for byte", async () => {
  const route = eventStream(() => {}, { id: () => "mine" });
  const server = http.createServer(route);
  const client = await connectRaw(await listen(server));
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await client.hears("\r\n\r\n: \n\n");
  expect(client.heard().replace(/(?<=Date: ).*(?=\r)/, "…")).toBe(
    [
      "HTTP/1.1 200 OK",
      "Date: …",
      "Connection: close",
      "cache-control: no-cache, no-store, must-revalidate, no-transform",
      "x-content-type-options: nosniff",
      "content-type: text/event-stream; charset=utf-8",
      "pragma: no-cache",
      "expires: 0",
      "x-accel-buffering: no",
      "millrace-connection: mine",
      "millrace-heartbeat-ms: 15000",
      "",
      ": \n\n",
    ].join("\r\n"),
  );
  await route.close();
  await client.closed;
  server.close();
});

describe("what a stream cannot carry is refused, and nothing of it is written", () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  const bad: [string, unknown][] = [
    ...["event", "id", "channel"].flatMap((field) =>
      ["\n", "\r", "\0", "a\r\ndata: injected"].map((value): [string, unknown] => [
        `${field} ${JSON.stringify(value)}`,
        { [field]: value, data: "x" },
      ]),
    ),
    ["an empty name", { event: "", data: "x" }],
    ["a long name", { event: "x".repeat(257), data: "x" }],
    ["a reserved name", { event: "millrace.gap", data: "x" }],
    ["the reserved id", { id: "millrace.closed", data: "x" }],
    ["half of a surrogate pair", { data: "\ud800" }],
    ["half of a surrogate pair in an id", { id: "\ud800", data: "x" }],
    ["a circle", { data: circle }],
    ["a bigint", { data: 1n }],
    ["a function", { data: () => {} }],
    ["a retry below 0", { data: "x", retry: -1 }],
    ["a retry that is no whole number", { data: "x", retry: 1.5 }],
    ["a retry that is no number", { data: "x", retry: Number.NaN }],
    ["a number", 5],
    ["a list", [1, 2]],
    ["nothing at all", undefined],
    ["null", null],
    ["an unknown member", { evnt: "x", data: 1 }],
    ["data that is undefined", { data: undefined }],
    ["an id that is a number", { id: 7, data: 1 }],
    ["an id that no header would carry", { id: "x".repeat(1025), data: 1 }],
    ["a channel that is a number", { channel: 7, data: 1 }],
  ];

  test.each(bad)("%s", async (_what, event) => {
    const thrown = deferred<unknown>();
    await using server = await start(http1, async (stream) => {
      try {
        await stream.send(event as SendEvent);
      } catch (error) {
        thrown.resolve(error);
      }
      await stream.send("after");
    });
    const answer = await server.call();
    expect((await answer.text()).replace(/event: millrace\.close.*/s, "")).toBe(
      ": \n\ndata: after\n\nid: millrace.closed\n",
    );
    expect(await thrown.promise).toBeInstanceOf(MillraceError);
    expect(await thrown.promise).toMatchObject({ code: "invalid_event" });
  });

  test("a wrong retry on its own, and a source that yields such a thing", async () => {
    const thrown: unknown[] = [];
    let returned = false;
    await using server = await start(http1, async (stream) => {
      try {
        await stream.retry(-1);
      } catch (error) {
        thrown.push(error);
      }
      async function* source() {
        try {
          yield { event: "a\nb", data: "x" };
        } finally {
          returned = true;
        }
      }
      thrown.push(await rejection(stream.pipe(source())));
      await until("the source has been told", () => returned);
    });
    await (await server.call()).text();
    expect(thrown).toMatchObject([{ code: "invalid_event" }, { code: "invalid_event" }]);
  });
});
