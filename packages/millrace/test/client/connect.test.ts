/** `connect` against a server that does what it is told. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type ConnectionStatus, type ConnectOptions, connect, type Subscription } from "../../src/client/index.js";
import {
  type FaultServer,
  type ScriptedAnswer,
  type ScriptedResponse,
  startFaultServer,
} from "../../src/testing/index.js";
import { until } from "../hub/until.js";

let server: FaultServer;
beforeEach(async () => {
  server = await startFaultServer();
});
afterEach(() => server[Symbol.asyncDispose]());

/** Waits that a test has the patience for. */
const quick = { baseMs: 5, maxMs: 20 };

function follow(answers: readonly ScriptedAnswer[], options: ConnectOptions = {}) {
  const seen = server.script("/", answers);
  const stream = connect(server.origin, { backoff: quick, ...options });
  onTestFinished(() => stream.close());
  const told = record(stream);
  return { stream, seen, ...told };
}

/** What a connection tells, in order. */
function record(stream: Subscription) {
  const events: unknown[] = [];
  const states: string[] = [];
  const errors: Error[] = [];
  const log: string[] = [];
  stream.on("*", ({ type, data, id }) => {
    events.push(data);
    log.push(`${type} ${JSON.stringify(data)} ${id}`);
  });
  stream.on("state", ({ state }) => void states.push(state));
  stream.on("error", ({ error }) => void errors.push(error));
  return { events, states, errors, log };
}

const hold = (...body: (string | number)[]): ScriptedResponse => ({ body, finish: "stall" });
const closed = (stream: Subscription) => until(() => stream.state === "closed");

describe("events", () => {
  test("come to the handlers of their name, and to those of all", async () => {
    const { stream, log } = follow([
      hold('id: 1\ndata: {"a":1}\n\nevent: tick\nid: 2\ndata: [2]\n\nevent: open\ndata: 3\n\n'),
    ]);
    const named: unknown[] = [];
    stream.on("message", ({ data, text, channel }) => named.push(["message", data, text, channel]));
    stream.on("tick", ({ data }) => named.push(["tick", data]));
    const off = stream.on("tick", ({ data }) => named.push(["again", data]));
    stream.on("open", (event) => named.push([event.type, "connection" in event]));
    await until(() => log.length === 3);
    expect(log).toEqual(['message {"a":1} 1', "tick [2] 2", "open 3 2"]);
    // A server's event of that name is no opening.
    expect(named).toEqual([
      ["open", true],
      ["message", { a: 1 }, '{"a":1}', undefined],
      ["tick", [2]],
      ["again", [2]],
    ]);
    expect(stream.lastEventId).toBe("2");
    off();
  });

  test("that are no JSON are told as errors, and those behind them come", async () => {
    const { events, errors, stream } = follow([hold("data: {oh\n\ndata: 1\n\n")]);
    await until(() => events.length === 1);
    expect(events).toEqual([1]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: "invalid_data", message: expect.stringContaining('parse: "text"') });
    expect(stream.state).toBe("open");
  });

  test("are text, or what a function makes of them", async () => {
    const { events } = follow([hold("data: {oh\ndata: no\n\n")], { parse: "text" });
    await until(() => events.length === 1);
    expect(events).toEqual(["{oh\nno"]);
    const upper = follow([hold("event: a\ndata: x\n\n")], { parse: (text, { type }) => type + text.toUpperCase() });
    await until(() => upper.events.length === 1);
    expect(upper.events).toEqual(["aX"]);
  });

  test("are validated by any Standard Schema, in their order", async () => {
    const positive = {
      "~standard": {
        version: 1 as const,
        vendor: "test",
        validate: async (value: unknown) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          return typeof value === "number" && value > 0
            ? { value: value * 10 }
            : { issues: [{ message: "must be positive", path: ["price", { key: 0 }] }] };
        },
      },
    };
    const { events, errors } = follow([hold("event: price\ndata: 1\n\nevent: price\ndata: -1\n\ndata: 2\n\n")], {
      schemas: { price: positive },
    });
    await until(() => events.length === 2);
    expect(events).toEqual([10, 2]);
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining("price.0: must be positive")]);
  });

  test("whose handler throws disturb no other one", async () => {
    const thrown: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => thrown.push(error));
    onTestFinished(() => {
      process.removeAllListeners("uncaughtException");
      for (const listener of listeners) process.on("uncaughtException", listener);
    });
    const { stream, events } = follow([hold("data: 1\n\ndata: 2\n\n")]);
    stream.on("message", () => {
      throw new Error("a handler's own");
    });
    await until(() => events.length === 2 && thrown.length === 2);
    expect(thrown.map((error) => (error as Error).message)).toEqual(["a handler's own", "a handler's own"]);
  });

  test("are read with a loop, one at a time: the next waits for the one before", async () => {
    const { stream, events } = follow([hold("data: 1\n\ndata: 2\n\ndata: 3\n\n")]);
    const got: unknown[] = [];
    for await (const { data } of stream) {
      expect(events).toHaveLength(got.length + 1);
      got.push(data);
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (got.length === 3) break;
    }
    expect(got).toEqual([1, 2, 3]);
    expect(stream.state).toBe("open");
  });

  test("end a loop when the connection is closed, by its signal, and with an error when it failed", async () => {
    const { stream } = follow([hold("data: 1\n\n")]);
    const controller = new AbortController();
    const byClose: unknown[] = [];
    const loops = [
      (async () => {
        for await (const { data } of stream) byClose.push(data);
      })(),
      (async () => {
        for await (const _ of stream.events({ signal: controller.signal })) controller.abort();
      })(),
    ];
    await until(() => byClose.length === 1);
    await loops[1];
    stream.close();
    await loops[0];
    const failing = follow([{ status: 403, headers: { "content-type": "text/plain" } }]);
    await expect(
      (async () => {
        for await (const _ of failing.stream);
      })(),
    ).rejects.toMatchObject({ code: "refused", status: 403 });
  });

  test("come no more after close, not even those that were received", async () => {
    const { stream, events, states } = follow([hold("data: 1\n\ndata: 2\n\n")]);
    stream.on("message", () => stream.close());
    await closed(stream);
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual([1]);
    expect(states).toEqual(["connecting", "open", "closed"]);
  });

  test("comments can be read", async () => {
    const { stream } = follow([hold(": hello\n\n")]);
    const texts: string[] = [];
    stream.on("comment", ({ text }) => void texts.push(text));
    await until(() => texts.length === 1);
    expect(texts).toEqual(["hello"]);
  });
});

describe("coming back", () => {
  test("is with the cursor, after a wait that is told", async () => {
    const waits: ConnectionStatus[] = [];
    const { stream, seen, events, states } = follow([
      { body: ["id: é\ndata: 1\n\nid: lost\ndata: unfinished"], finish: "cut" },
      hold("data: 2\n\n"),
    ]);
    stream.on("state", (status) => status.state === "waiting" && waits.push(status));
    await until(() => events.length === 2);
    expect(Buffer.from(seen[1]?.headers["last-event-id"] as string, "latin1").toString()).toBe("é");
    expect(seen[0]?.headers["last-event-id"]).toBeUndefined();
    expect(states).toEqual(["connecting", "open", "waiting", "connecting", "open"]);
    expect(waits[0]).toMatchObject({ attempt: 1, attempts: Infinity, error: { code: "connection_lost" } });
    expect(waits[0]?.waitMs).toBeLessThanOrEqual(20);
    expect(waits[0]?.untilMs).toBeGreaterThan(Date.now() - 1000);
  });

  test("waits no less than the server asks for, by `retry` and by Retry-After", async () => {
    const waits: number[] = [];
    const unavailable = { status: 503, headers: { "content-type": "text/plain", "retry-after": "1" } };
    const { stream, events } = follow([{ body: ["retry: 60\n\n"] }, unavailable, hold("data: 1\n\n")]);
    stream.on("state", ({ waitMs }) => {
      if (waitMs !== undefined) waits.push(waitMs);
    });
    await until(() => events.length === 1);
    expect(waits[0]).toBeGreaterThanOrEqual(60);
    expect(waits[1]).toBeGreaterThanOrEqual(1000);
  });

  test("gives up when its budget is used up, which a success fills again", async () => {
    const down = { status: 500, headers: { "content-type": "text/plain" } };
    const { stream, errors, states, seen } = follow([down, { body: ["data: 1\n\n"] }, down, down, down], {
      backoff: { ...quick, attempts: 3 },
    });
    const given: unknown[] = [];
    stream.on("gaveup", ({ error }) => given.push(error.status));
    await closed(stream);
    expect(seen).toHaveLength(4);
    expect(errors).toHaveLength(4);
    expect(given).toEqual([500]);
    expect(stream.status).toMatchObject({ state: "closed", attempt: 3, attempts: 3, error: { status: 500 } });
    expect(states.filter((state) => state === "waiting")).toHaveLength(3);
  });

  test.each([
    ["204", { status: 204 }, undefined],
    ["403", { status: 403, headers: { "content-type": "text/plain" } }, "refused"],
    ["404", { status: 404, headers: { "content-type": "text/plain" } }, "refused"],
    ["a page", { headers: { "content-type": "text/html" } }, "refused"],
  ] as const)("is no more after %s", async (_, answer, code) => {
    const { stream, seen } = follow([answer]);
    await closed(stream);
    expect(stream.status.error?.code).toBe(code);
    expect(seen).toHaveLength(1);
  });

  test("tells what a refusal says of itself", async () => {
    const body = [JSON.stringify({ status: 403, detail: "ann may not read this" })];
    const { stream } = follow([{ status: 403, headers: { "content-type": "application/problem+json" }, body }]);
    await closed(stream);
    expect(stream.status.error?.message).toContain("ann may not read this");
  });

  test("after 401 is with fresh headers, once", async () => {
    let tokens = 0;
    const refused = { status: 401, headers: { "content-type": "text/plain" } };
    const options = { headers: async () => ({ authorization: `Bearer ${++tokens}` }) };
    const { stream, seen, events } = follow([refused, { body: ["data: 1\n\n"] }, refused, refused], options);
    await closed(stream);
    expect(events).toEqual([1]);
    expect(seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer 1", "Bearer 2", "Bearer 3", "Bearer 4"]);
    const fixed = follow([refused], { headers: { authorization: "Bearer x" } });
    await closed(fixed.stream);
    expect(fixed.seen).toHaveLength(1);
  });

  test("is not asked for by a server that says so", async () => {
    const { stream, seen } = follow([
      { body: ['event: millrace.close\nid: millrace.closed\ndata: {"reason":"ended","reconnect":false}\n\n'] },
    ]);
    await closed(stream);
    expect(seen).toHaveLength(1);
    expect(stream.status).toMatchObject({ error: undefined, reason: "ended" });
    expect(stream.lastEventId).toBe("");
  });

  test("does not wait any more when it is told to", async () => {
    const { stream, events } = follow(["cut", hold("data: 1\n\n")], { backoff: { baseMs: 60_000, jitter: 0 } });
    await until(() => stream.state === "waiting");
    stream.reconnect();
    await until(() => events.length === 1);
  });

  test("a server that says nothing is left, after three of its heartbeats", async () => {
    const headers = { "millrace-heartbeat-ms": "30", "millrace-position": "x-1" };
    const { errors, events } = follow([
      { ...hold("data: 1\n\n", 60, ": still there\n\n", 60, ": and now\n\n"), headers },
      hold("data: 2\n\n"),
    ]);
    await until(() => events.length === 2);
    expect(errors.map((error) => error.message)).toEqual(["nothing came, not even a heartbeat for 90 ms"]);
  });

  test("an answer that does not come is not waited for", async () => {
    const { errors, events } = follow(["stall", hold("data: 1\n\n")], { openMs: 30 });
    await until(() => events.length === 1);
    expect(errors).toMatchObject([{ code: "timed_out" }]);
  });
});

describe("the cursor", () => {
  const stored = (key: string, items: Record<string, string>) => ({
    key,
    store: {
      getItem: (name: string) => items[name] ?? null,
      setItem: (name: string, value: string) => {
        items[name] = value;
      },
    },
  });

  test("outlives the page where it is kept, and moves once the handlers have returned", async () => {
    const items: Record<string, string> = { feed: "a-1" };
    const { stream, seen, events } = follow([hold("id: a-2\ndata: 1\n\n")], {
      persist: stored("feed", items),
      lastEventId: "of the page",
    });
    let during: string | undefined;
    stream.on("message", () => {
      during = items.feed;
    });
    await until(() => events.length === 1 && items.feed === "a-2");
    expect(during).toBe("a-1");
    expect(seen[0]?.headers["last-event-id"]).toBe("a-1");
  });

  test("moves in the order of the stream", async () => {
    const { stream, events } = follow([hold("id: a-2\ndata: 1\n\n: keepalive\nid: a-3\n\n")]);
    const during: string[] = [];
    stream.on("message", () => void during.push(stream.lastEventId));
    await until(() => events.length === 1 && stream.lastEventId === "a-3");
    expect(during).toEqual([""]);
  });

  test("drops what a hub sends twice, and nothing of another server", async () => {
    const twice = "id: a\ndata: 1\n\nid: b\ndata: 2\n\n";
    const headers = { "millrace-position": "a" };
    const ofHub = follow([
      { body: [twice], headers },
      { ...hold(`${twice}id: c\ndata: 3\n\n`), headers },
    ]);
    await until(() => ofHub.events.length >= 3);
    expect(ofHub.events).toEqual([1, 2, 3]);
    const other = follow([hold("id: a\ndata: 1\n\ndata: 1\n\nid: a\ndata: 1\n\n")]);
    await until(() => other.events.length === 3);
  });
});

test("bad options are said at once", () => {
  const wrong =
    (options: object, url = "http://x/") =>
    () =>
      connect(url, options as ConnectOptions);
  expect(wrong({}, "/relative")).toThrow("relative ones need a page");
  expect(wrong({ reconect: 1 })).toThrow('no option "reconect"');
  expect(wrong({ parse: "yaml" })).toThrow('parse is "yaml"');
  expect(wrong({ backoff: { factor: 0.5 } })).toThrow("backoff.factor");
  expect(wrong({ fallback: true })).toThrow("fallback");
  const stream = connect("http://127.0.0.1:1/");
  expect(() => stream.on("", () => {})).toThrow("event's name");
  expect(() => stream.on("a", undefined as never)).toThrow("function");
  stream.close();
});
