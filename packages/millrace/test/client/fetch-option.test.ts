/** What the npm package `eventsource` 4 has beside the standard: a `fetch` of the user's own. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { EventSource, type EventSourceFetchInit, type FetchLike } from "../../src/client/index.js";
import { type FaultServer, startFaultServer } from "../../src/testing/index.js";
import { until } from "../http/support/until.js";

let server: FaultServer;
beforeEach(async () => {
  server = await startFaultServer();
});
afterEach(() => server[Symbol.asyncDispose]());

function open(fetch: FetchLike, withCredentials?: boolean): EventSource {
  const source = new EventSource(server.origin, { fetch, withCredentials });
  onTestFinished(() => source.close());
  return source;
}

/** A response that never ends, and what became of its body. */
function endless(status = 200): { response: Response; cancelled: () => boolean } {
  let cancelled = false;
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode("data: a\n\n")),
    cancel: () => {
      cancelled = true;
    },
  });
  const response = new Response(body, { status, headers: { "content-type": "text/event-stream" } });
  return { response, cancelled: () => cancelled };
}

test("says that it takes one", () => {
  expect(Symbol.for("eventsource.supports-fetch-override") in EventSource).toBe(true);
});

test("null is none, as there", async () => {
  server.script("/", [{ body: ["data: a\n\n"], finish: "stall" }]);
  const source = open(null as never);
  await until("it is open", () => source.readyState === EventSource.OPEN);
});

test("is called with the URL and what the standard asks for", async () => {
  const calls: [unknown, EventSourceFetchInit][] = [];
  server.script("/", [{ body: ["retry: 1\nid: é\n\n"] }]);
  const source = open((url, init) => {
    calls.push([url, init]);
    return fetch(url, init);
  });
  await until("the end", () => source.readyState === EventSource.CLOSED);
  const common = { mode: "cors", redirect: "follow", cache: "no-store", signal: expect.any(AbortSignal) };
  expect(calls).toEqual([
    [new URL(server.origin), { ...common, headers: { Accept: "text/event-stream" } }],
    [new URL(server.origin), { ...common, headers: { Accept: "text/event-stream", "Last-Event-ID": "\xc3\xa9" } }],
  ]);
});

test("credentials are said where they are asked for", async () => {
  const credentials: unknown[] = [];
  const note: FetchLike = async (_, init) => {
    credentials.push(init.credentials);
    return new Response(null, { status: 204 });
  };
  for (const withCredentials of [true, false, undefined]) {
    const source = open(note, withCredentials);
    expect(source.withCredentials).toBe(withCredentials === true);
    await until("the end", () => source.readyState === EventSource.CLOSED);
  }
  expect(credentials).toEqual(["include", undefined, undefined]);
});

test.each(["POST", "REPORT"])(
  "may make it a %s with headers and a body, again at each reconnection",
  async (method) => {
    const requests = server.script("/", [{ body: ["retry: 1\n"] }]);
    const headers = { "content-type": "application/json", "last-event-id": "from before" };
    const source = open((url, init) =>
      fetch(url, { ...init, method, body: "{}", headers: { ...init.headers, ...headers } }),
    );
    await until("the end", () => source.readyState === EventSource.CLOSED);
    expect(requests).toHaveLength(2);
    for (const request of requests)
      expect(request).toMatchObject({ method, headers: { ...headers, "content-length": "2" } });
  },
);

test("a fetch that throws instead of rejecting is a connection that failed", async () => {
  let calls = 0;
  const source = open(() => {
    calls++;
    throw new Error("no network here");
  });
  const messages: unknown[] = [];
  source.onerror = (event) => messages.push(event.message);
  await until("an error", () => messages.length === 1);
  expect([calls, source.readyState, messages]).toEqual([1, EventSource.CONNECTING, ["no network here"]]);
});

test("an error that is its own cause can be told, too", async () => {
  const error = new Error("round");
  error.cause = error;
  const messages: unknown[] = [];
  const source = open(() => Promise.reject(error));
  source.onerror = (event) => messages.push(event.message);
  await until("an error", () => messages.length === 1);
  expect(messages[0]).toContain("round");
});

test("a response that a program has made is of the origin that was asked", async () => {
  const { response } = endless();
  const source = open(async () => response);
  const origins: string[] = [];
  source.onmessage = (event) => origins.push(event.origin);
  await until("an event", () => origins.length === 1);
  expect(origins).toEqual([server.origin]);
});

test("a response without a body is a stream that has ended", async () => {
  const source = open(async () => new Response(null, { headers: { "content-type": "text/event-stream" } }));
  const states: number[] = [];
  source.onopen = source.onerror = () => states.push(source.readyState);
  await until("two events", () => states.length === 2);
  expect(states).toEqual([EventSource.OPEN, EventSource.CONNECTING]);
});

test("a body that is no web stream is refused, and why is said", async () => {
  const response = {
    status: 200,
    url: "",
    redirected: false,
    headers: new Headers({ "content-type": "text/event-stream" }),
  };
  const source = open(async () => ({ ...response, body: {} as never }));
  const messages: unknown[] = [];
  source.onerror = (event) => messages.push(event.message);
  await until("an error", () => messages.length === 1);
  expect(messages[0]).toContain("ReadableStream");
  expect(source.readyState).toBe(EventSource.CLOSED);
});

describe("a fetch that does not heed the signal: its body is cancelled", () => {
  test("when the stream is closed in its midst", async () => {
    const { response, cancelled } = endless();
    const source = open(async () => response);
    await new Promise((resolve) => {
      source.onmessage = resolve;
    });
    source.close();
    await until("the body to be cancelled", cancelled);
  });

  test("when it is closed before the answer, or in its first moment", async () => {
    const late = endless();
    const source = open(async () => late.response);
    source.close();
    await until("the body to be cancelled", late.cancelled);
    const first = endless();
    const other = open(async () => first.response);
    other.onopen = () => other.close();
    await until("the body to be cancelled", first.cancelled);
  });

  test("when the answer is refused", async () => {
    const { response, cancelled } = endless(500);
    open(async () => response);
    await until("the body to be cancelled", cancelled);
  });
});

test("without any fetch: said at once", () => {
  const { fetch } = globalThis;
  onTestFinished(() => {
    globalThis.fetch = fetch;
  });
  Reflect.deleteProperty(globalThis, "fetch");
  expect(() => new EventSource(server.origin)).toThrow(TypeError);
});

test("a URL that is none: a SyntaxError, as the standard has it", () => {
  for (const url of ["", "/relative", "http://[", "http://a b"]) {
    expect(() => new EventSource(url)).toThrow(
      expect.objectContaining({ name: "SyntaxError", constructor: DOMException }),
    );
  }
});
