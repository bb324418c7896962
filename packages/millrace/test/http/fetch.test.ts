import { describe, expect, test } from "vitest";
import { createHub } from "../../src/index.js";
import { until } from "./support/index.js";
import { heldBytes } from "./support/memory.js";

const url = (path: string) => `http://hub.example${path}`;

async function stream(hub: ReturnType<typeof createHub>, signal?: AbortSignal) {
  const response = await hub.fetch(new Request(url("/events"), signal ? { signal } : {}));
  return (response as Response).body as ReadableStream<Uint8Array>;
}

/** Reads until so many events have come. */
async function readEvents(body: ReadableStream<Uint8Array>, count: number): Promise<string> {
  let text = "";
  for await (const part of body.values({ preventCancel: true })) {
    expect(part.byteLength).toBeGreaterThan(0);
    text += Buffer.from(part).toString();
    if ((text.match(/^data:/gm) ?? []).length >= count) break;
  }
  return text.slice(text.indexOf("\n\n") + 2);
}

describe("Fetch", () => {
  test("two subscribers of a group get the same bytes, and no Buffer is detached", async () => {
    const hub = createHub();
    const bodies = [await stream(hub), await stream(hub)];
    expect(hub.stats().groups).toBe(1);
    const neighbour = Buffer.from("a neighbour in Node's pool");
    for (let i = 0; i < 20; i++) await hub.publish({ data: `event ${i}` });
    const [one, two] = await Promise.all(bodies.map((body) => readEvents(body, 20)));
    expect(one).toBe(two);
    expect(one?.match(/^data: event \d+$/gm)).toHaveLength(20);
    expect(neighbour.toString()).toBe("a neighbour in Node's pool");
    // What is in the log has been left alone, too.
    const late = (await hub.fetch(new Request(url("/events?rewind=all")))) as Response;
    expect(await readEvents(late.body as ReadableStream<Uint8Array>, 20)).toBe(one);
    await hub.close({ drainMs: 50 });
  });

  test("one subscriber that hands its bytes on for good takes them from nobody", async () => {
    const hub = createHub();
    const [giving, keeping] = [await stream(hub), await stream(hub)];
    await hub.publish({ data: "x" });
    const piped = new Response(giving.pipeThrough(new TransformStream())).body as ReadableStream<Uint8Array>;
    expect(await readEvents(piped, 1)).toBe(await readEvents(keeping, 1));
    await hub.close({ drainMs: 50 });
  });

  test("an abort ends the stream, and so does a reader that cancels", async () => {
    const hub = createHub();
    const leaving = new AbortController();
    const aborted = await stream(hub, leaving.signal);
    const cancelled = await stream(hub);
    expect(hub.stats().connections).toBe(2);
    leaving.abort();
    await until("the first is forgotten", () => hub.stats().connections === 1);
    // Not with an error: servers write it into their logs, and a client that leaves is no failure.
    expect(await readEvents(aborted, 1)).toBe("");
    await cancelled.cancel();
    await until("the second is forgotten", () => hub.stats().connections === 0);
    await hub.publish({ data: "to nobody" });
    await hub.close();
  });

  test("an abort ends the stream also when nobody but the hub remembers the request", async () => {
    const hub = createHub();
    const leaving = new AbortController();
    await stream(hub, leaving.signal);
    for (let i = 0; i < 3; i++) {
      heldBytes(); // collects garbage
      await new Promise((resolve) => setImmediate(resolve));
    }
    leaving.abort();
    await until("it is forgotten", () => hub.stats().connections === 0);
    await hub.close();
  });

  test("a request that was aborted before it came is not let in", async () => {
    const hub = createHub();
    const response = await hub.fetch(new Request(url("/events"), { signal: AbortSignal.abort() }));
    expect(response?.status).toBe(499);
    expect(hub.stats().opened).toBe(0);
  });

  test.each(["toString", "constructor", "__proto__", "hasOwnProperty"])(
    "the method %s is answered 405",
    async (method) => {
      const hub = createHub();
      const response = await hub.fetch(new Request(url("/events"), { method }));
      expect(response?.status).toBe(405);
    },
  );

  test("paths of others are left to them", async () => {
    const hub = createHub();
    expect(await hub.fetch(new Request(url("/mine")))).toBeUndefined();
    expect(await hub.fetch(new Request(url("/events/")))).toBeUndefined();
  });

  test("a body that breaks off is no error of the hub", async () => {
    const errors: unknown[] = [];
    const hub = createHub({ authorize: () => ({}), onError: (error) => errors.push(error) });
    const leaving = new AbortController();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(Buffer.from('{"data":'));
        leaving.signal.addEventListener("abort", () => controller.error(leaving.signal.reason));
      },
    });
    const answering = hub.fetch(
      new Request(url("/publish"), {
        method: "POST",
        body,
        headers: { "content-type": "application/json" },
        signal: leaving.signal,
        duplex: "half",
      } as RequestInit),
    );
    setImmediate(() => leaving.abort());
    expect((await answering)?.status).toBe(499);
    expect(errors).toEqual([]);
    expect(hub.log.tail).toBe(0);
  });

  test("a body that the application has read before is said", async () => {
    const errors: unknown[] = [];
    const hub = createHub({ authorize: () => ({}), onError: (error) => errors.push(error) });
    const request = new Request(url("/publish"), {
      method: "POST",
      body: '{"data":1}',
      headers: { "content-type": "application/json" },
    });
    await request.text();
    expect((await hub.fetch(request))?.status).toBe(500);
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining("before a body parser") })]);
  });
});

// Runtimes hand over other things than an address: secrets of the environment, a server, a context.
test.each([undefined, null, "192.0.2.1", { SECRET: "hunter2" }, { remoteAddress: { hostname: "x" } }])(
  "what is no address is none: %j",
  async (info) => {
    const hub = createHub();
    const response = await (hub.fetch as (request: Request, info: unknown) => Promise<Response>)(
      new Request(url("/events")),
      info,
    );
    expect(response.status).toBe(200);
    expect([...hub.connections()].map(({ remoteAddress }) => remoteAddress)).toEqual([undefined]);
    await hub.close({ drainMs: 100 });
  },
);

test("an onAnswer that throws is told to onError, and changes no answer", async () => {
  const errors: unknown[] = [];
  const hub = createHub({
    onAnswer: () => {
      throw new Error("mine");
    },
    onError: (error) => errors.push(error),
  });
  expect((await hub.fetch(new Request(url("/health"))))?.status).toBe(200);
  expect(errors).toEqual([new Error("mine")]);
  await hub.close();
});
