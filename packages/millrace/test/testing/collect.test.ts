import { expect, onTestFinished, test, vi } from "vitest";
import { connect, EventSource } from "../../src/client/index.js";
import { collect, type FaultServer, type ScriptedAnswer, startFaultServer, until } from "../../src/testing/index.js";

async function serve(...answers: ScriptedAnswer[]): Promise<FaultServer> {
  const server = await startFaultServer();
  onTestFinished(() => server.close());
  server.script("/", answers);
  return server;
}

const three = "id: 1\ndata: 1\n\nevent: tick\nchannel: n\ndata: 2\n\ndata: 3\n\n";

test("from what connect answers with, which stays open", async () => {
  const { origin } = await serve({ body: [three, 20, "data: 4\n\ndata: 5\n\n"], finish: "stall" });
  const stream = connect<{ message: number; tick: number }>(origin);
  onTestFinished(() => stream.close());
  const events = await collect(stream, 2);
  const numbers: number[] = events.map(({ data }) => data);
  expect(numbers).toEqual([1, 2]);
  expect(events[1]).toMatchObject({ type: "tick", channel: "n", id: "1" });
  expect((await collect(stream, 2)).map(({ data }) => data)).toEqual([3, 4]);
  expect(stream.state).toBe("open");
  // Nobody holds the stream up when it is done.
  const rest: unknown[] = [];
  stream.on("*", ({ data }) => void rest.push(data));
  await until(() => rest.length === 1);
});

test("of some types only", async () => {
  const { origin } = await serve({ body: [three], finish: "stall" }, { body: [three], finish: "stall" });
  const stream = connect(origin);
  onTestFinished(() => stream.close());
  expect(await collect(stream, 1, { types: ["tick"] })).toMatchObject([{ data: 2 }]);
  expect(await collect(await fetch(origin), 1, { types: ["tick"] })).toMatchObject([{ data: "2" }]);
});

test("from an EventSource: messages, or the types that it is told, and its listeners are taken away", async () => {
  const body = { body: [three], finish: "stall" } as const;
  const { origin } = await serve(body, body);
  const listeners = new Set<unknown>();
  class Watched extends EventSource {
    // biome-ignore lint/suspicious/noExplicitAny: listeners of all kinds
    override addEventListener(type: any, listener: any) {
      listeners.add(listener);
      super.addEventListener(type, listener);
    }
    // biome-ignore lint/suspicious/noExplicitAny: listeners of all kinds
    override removeEventListener(type: any, listener: any) {
      listeners.delete(listener);
      super.removeEventListener(type, listener);
    }
  }
  const source = new Watched(origin);
  onTestFinished(() => source.close());
  expect(await collect(source, 2)).toEqual([
    { type: "message", data: "1", lastEventId: "1" },
    { type: "message", data: "3", lastEventId: "1" },
  ]);
  expect([listeners.size, source.readyState]).toEqual([0, EventSource.OPEN]);
  const other = new EventSource(origin);
  onTestFinished(() => other.close());
  expect(await collect(other, 1, { types: ["tick"] })).toEqual([{ type: "tick", data: "2", lastEventId: "1" }]);
});

test("from a response and from a body, which are cancelled", async () => {
  const server = await serve({ body: [three], finish: "stall" }, { body: [three], finish: "stall" });
  expect((await collect(await fetch(server.origin), 3)).map(({ data }) => data)).toEqual(["1", "2", "3"]);
  const { body } = await fetch(server.origin);
  expect(await collect(body as ReadableStream<Uint8Array>, 1)).toMatchObject([{ type: "message", data: "1" }]);
  await until(() => server.requests.every(({ closed }) => closed));
});

test("from any iterable, which is ended", async () => {
  let ended = false;
  async function* numbers() {
    try {
      for (let n = 0; ; n++) yield n;
    } finally {
      ended = true;
    }
  }
  const collected: number[] = await collect(numbers(), 3);
  expect(collected).toEqual([0, 1, 2]);
  await until(() => ended);
});

test("says what came when the time is over, and why a connection waits", async () => {
  const server = await serve({ body: ["data: 1\n\n"] }, { status: 503 });
  const stream = connect(server.origin, { backoff: { baseMs: 5, maxMs: 5 } });
  onTestFinished(() => stream.close());
  server.script("/", () => (server.requests.length === 1 ? { body: ["data: 1\n\n"] } : { status: 503 }));
  await expect(collect(stream, 3, { timeoutMs: 500 })).rejects.toMatchObject({
    code: "timed_out",
    message: expect.stringMatching(
      /^waited for 500 ms, after 1 of 3 events: \{"type":"message","data":1,.*\}; the connection is \w+.*503/,
    ),
  });
  const { origin } = await serve({ finish: "stall" }, { body: [three], finish: "stall" });
  const silent = new EventSource(origin);
  onTestFinished(() => silent.close());
  await expect(collect(silent, 1, { timeoutMs: 50 })).rejects.toThrow("after 0 of 1 events; its readyState is 1");
  await expect(collect(await fetch(origin), 4, { timeoutMs: 50 })).rejects.toThrow(/after 3 of 4 events: .*"data":"3"/);
  async function* nothing() {
    await new Promise(() => {});
    yield 1;
  }
  await expect(collect(nothing(), 1, { timeoutMs: 20 })).rejects.toMatchObject({ code: "timed_out" });
});

test("says so at once when no more can come", async () => {
  const server = await serve({ body: [three] }, { status: 403 }, { status: 403 }, { status: 403 });
  await expect(collect(await fetch(server.origin), 4)).rejects.toMatchObject({
    code: "connection_lost",
    message: expect.stringMatching(/^the stream has ended, after 3 of 4 events: \{/),
  });
  const stream = connect(server.origin);
  await expect(collect(stream, 1)).rejects.toMatchObject({
    code: "connection_lost",
    message: expect.stringContaining("answered 403"),
    cause: { code: "refused", status: 403 },
  });
  await expect(collect(new EventSource(server.origin), 1)).rejects.toThrow("answered 403");
  await expect(collect(await fetch(server.origin), 1)).rejects.toMatchObject({ code: "refused" });
  const source = new EventSource(server.origin);
  source.close();
  await expect(collect(source, 1)).rejects.toThrow("the stream has ended, after 0 of 1 events; its readyState is 2");
});

test("shows the last ones of many", async () => {
  async function* many() {
    for (let n = 0; n < 100; n++) yield { n, text: "x".repeat(1000) };
  }
  const { message } = await collect(many(), 101).then(
    () => expect.fail(),
    (error: Error) => error,
  );
  expect(message).toContain("after 100 of 101 events: … ");
  expect(message).toContain('"n":99');
  expect(message).not.toContain('"n":79');
  expect(message.length).toBeLessThan(5000);
});

test("mistakes are said at once", async () => {
  await expect(collect({} as never, 1)).rejects.toThrow("collect takes what connect answers with");
  await expect(collect(undefined as never, 1)).rejects.toMatchObject({ code: "invalid_option" });
  await expect(collect((async function* () {})(), 0)).rejects.toThrow("the number of events is 0");
  await expect(collect((async function* () {})(), 1, { timeout: 1 } as never)).rejects.toThrow('no option "timeout"');
});

test("what waits has a clock of its own, where a test has set the clock", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  await expect(until(() => false, { timeoutMs: 20 })).rejects.toMatchObject({ code: "timed_out" });
  const nothing = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
  await expect(collect(nothing, 1, { timeoutMs: 20 })).rejects.toMatchObject({ code: "timed_out" });
});

test("until gives what the condition gave, and says which one did not come true", async () => {
  let n = 0;
  expect(await until(() => ++n > 2 && "yes")).toBe("yes");
  await expect(until(() => n === 0, { timeoutMs: 20 })).rejects.toMatchObject({
    code: "timed_out",
    message: "it did not come true within 20 ms: () => n === 0",
  });
  await expect(until(async () => false, { timeoutMs: 20 })).rejects.toMatchObject({ code: "timed_out" });
  await expect(until(() => new Promise(() => {}), { timeoutMs: 20 })).rejects.toMatchObject({ code: "timed_out" });
  const found: number = await until(() => [1, 2].find((each) => each > 1), { timeoutMs: 1e10 });
  expect(found).toBe(2);
  await expect(until(() => expect(1).toBe(2))).rejects.toThrow("expected 1 to be 2");
});
