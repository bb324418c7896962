/** What the compiler says: these files are compiled with the rest, and a type that is wrong here fails the build. */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2, { type Http2ServerRequest } from "node:http2";
import { expectTypeOf, test } from "vitest";
import type { NodeRequest, NodeResponse } from "../../src/http/node.js";
import {
  type AnyRequest,
  type EventStream,
  type EventStreamOptions,
  eventStream,
  type SendEvent,
  type StreamIdentity,
} from "../../src/index.js";

/** What Express hands over, as far as it matters here. */
interface ExpressRequest extends IncomingMessage {
  params: Record<string, string>;
  user?: string;
}
type ExpressHandler = (request: ExpressRequest, response: ServerResponse, next: (error?: unknown) => void) => unknown;

test("a route is what its handler's request is", () => {
  const plain = eventStream(() => {});
  expectTypeOf(plain(new Request("http://x/"))).resolves.toEqualTypeOf<Response>();
  expectTypeOf<ReturnType<(request: NodeRequest, response: NodeResponse) => Promise<void>>>().toEqualTypeOf<
    Promise<void>
  >();
  const onNode = (request: IncomingMessage, response: ServerResponse) => plain(request, response);
  expectTypeOf(onNode).returns.resolves.toEqualTypeOf<void>();
  const onHttp2 = (request: Http2ServerRequest, response: http2.Http2ServerResponse) => plain(request, response);
  expectTypeOf(onHttp2).returns.resolves.toEqualTypeOf<void>();

  const fetching = eventStream((_stream, _request: Request) => {});
  expectTypeOf(fetching(new Request("http://x/"))).resolves.toEqualTypeOf<Response>();
  // @ts-expect-error: it takes a Request only
  const wrong = (request: IncomingMessage, response: ServerResponse) => fetching(request, response);

  const express = eventStream(async (stream, request: ExpressRequest) => {
    expectTypeOf(request.params).toEqualTypeOf<Record<string, string>>();
    await stream.send({ data: request.user });
  });
  expectTypeOf(express).toExtend<ExpressHandler>();
  // @ts-expect-error: it takes Node's only
  const wrongToo = () => express(new Request("http://x/"));
  void [wrong, wrongToo];
});

test("what a handler wants behind the request, its route wants too", () => {
  const next = eventStream(async (stream, _request: Request, { params }: { params: Promise<{ id: string }> }) => {
    await stream.send((await params).id);
  });
  const context = { params: Promise.resolve({ id: "7" }) };
  expectTypeOf(next(new Request("http://x/"), context)).resolves.toEqualTypeOf<Response>();
  // @ts-expect-error: without it there would be no params
  void (() => next(new Request("http://x/")));

  const express = eventStream((_stream, _request: ExpressRequest, response: ServerResponse) => {
    expectTypeOf(response).toEqualTypeOf<ServerResponse>();
  });
  expectTypeOf(express).toExtend<ExpressHandler>();
});

test("it fits the servers", () => {
  expectTypeOf(http.createServer).toBeCallableWith(eventStream(() => {}));
  expectTypeOf(http2.createServer).toBeCallableWith(eventStream(() => {}));
  expectTypeOf(http.createServer).toBeCallableWith(eventStream((_stream, _request: IncomingMessage) => {}));
  expectTypeOf(eventStream(() => {})).toExtend<(request: Request) => Promise<Response>>();
  expectTypeOf(eventStream(() => {})).toExtend<ExpressHandler>();
});

test("what a handler is given", () => {
  eventStream((stream, request) => {
    expectTypeOf(stream).toEqualTypeOf<EventStream>();
    expectTypeOf(request).toEqualTypeOf<AnyRequest>();
    expectTypeOf(request).not.toBeAny();
    expectTypeOf(stream.identity).toEqualTypeOf<StreamIdentity>();
    expectTypeOf(stream.signal).toEqualTypeOf<AbortSignal>();
    expectTypeOf(stream.closed).toEqualTypeOf<Promise<void>>();
    expectTypeOf(stream.send).parameters.toEqualTypeOf<[event: SendEvent | string]>();
    expectTypeOf(stream.send).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf(stream.comment).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf(stream.retry).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf(stream.pipe).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf(stream.close).returns.toEqualTypeOf<void>();
    expectTypeOf<SendEvent["data"]>().toBeUnknown();
    // @ts-expect-error: a name is a string
    void (() => stream.send({ event: 5, data: "x" }));
    // @ts-expect-error: an event has no such member
    void (() => stream.send({ name: "x", data: "x" }));
    // @ts-expect-error: a text is no source, though it can be iterated
    void (() => stream.pipe(5));
    // @ts-expect-error: it is for the application to read only
    void (() => (stream.id = "x"));
  });
});

test("what a handler may return", () => {
  eventStream(() => {});
  eventStream(async () => {});
  eventStream((stream) => stream.send("x"));
  eventStream(() => () => {});
  eventStream(() => async () => {});
  eventStream(async () => () => {});
  eventStream(async function* () {
    yield "x";
    yield { event: "x", data: 1 };
  });
  eventStream(() => new ReadableStream<string>());
  // @ts-expect-error: a number says nothing
  eventStream(() => 5);
  eventStream(
    // @ts-expect-error: a source yields events or strings
    async function* () {
      yield 5;
    },
  );
});

test("options know the handler's request", () => {
  const handler = (_stream: EventStream, _request: ExpressRequest) => {};
  eventStream(handler, {
    id: (request) => {
      expectTypeOf(request).toEqualTypeOf<ExpressRequest>();
      return request.params.id ?? "none";
    },
    headers: ({ id }, request) => {
      expectTypeOf(id).toBeString();
      expectTypeOf(request).toEqualTypeOf<ExpressRequest>();
      return { "x-user": request.user ?? "" };
    },
    onError: (error, request) => {
      expectTypeOf(error).toBeUnknown();
      expectTypeOf(request).toEqualTypeOf<ExpressRequest>();
    },
  });
  expectTypeOf<EventStreamOptions["authorize"]>().not.toBeAny();
  // @ts-expect-error: there is no such option
  void (() => eventStream(handler, { heartbeat: 5 }));
  // @ts-expect-error: there is no such form
  void (() => eventStream(handler, { heartbeatForm: "ping" }));
  const route = eventStream(handler);
  expectTypeOf(route.streams).toEqualTypeOf<ReadonlySet<EventStream>>();
  expectTypeOf(route.close).returns.toEqualTypeOf<Promise<void>>();
});

interface Events {
  price: { symbol: string; price: number };
  message: string;
}

test("a stream whose events are named takes no others", () => {
  eventStream(async (stream: EventStream<Events>) => {
    await stream.send({ event: "price", id: "data-1", data: { symbol: "ACME", price: 1 } });
    await stream.send("a message is a text");
    await stream.send({ data: "so is this" });
    await stream.send({ retry: 5000 });
    // @ts-expect-error there is no such event
    const unknown = () => stream.send({ event: "prize", data: 1 });
    // @ts-expect-error the price is a number
    const wrong = () => stream.send({ event: "price", data: { symbol: "ACME", price: "1" } });
    // @ts-expect-error a message is a text
    const number = () => stream.send({ data: 5 });
    void [unknown, wrong, number];
  });
});
