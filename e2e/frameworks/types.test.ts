/** Whether the frameworks' own types take our routes: a matter of the compiler. Next.js checks its example's when it builds it. */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2 from "node:http2";
import type { Express, Request as ExpressRequest, Response as ExpressResponse, RequestHandler } from "express";
import type { Context, Handler } from "hono";
import { createHub, eventStream } from "millrace";
import { expect, expectTypeOf, test } from "vitest";

const hub = createHub();
const anything = eventStream(async (stream) => stream.send("hello"));

test("Express", () => {
  const app = { get: () => {} } as unknown as Express;
  expectTypeOf(anything).toExtend<RequestHandler>();
  expectTypeOf(hub.stream(() => "news")).toExtend<RequestHandler>();
  const authenticate: RequestHandler = (_request, _response, next) => next();
  // Behind other middleware the request's type comes from the router; alone it has to be named.
  app.get(
    "/:channel",
    authenticate,
    eventStream(async (stream, request) => {
      await stream.send(request.path);
    }),
  );
  app.get(
    "/:channel",
    eventStream(async (stream, request: ExpressRequest<{ channel: string }>, response: ExpressResponse) => {
      await stream.send(request.params.channel + response.locals.user);
    }),
  );
  app.get(
    "/:channel",
    hub.stream((request: ExpressRequest<{ channel: string }>) => request.params.channel),
  );
  app.get(
    "/feed",
    authenticate,
    hub.stream((request: ExpressRequest) => ({ channels: "news", prefixes: "stocks/", user: request.path })),
  );
});

test("Hono", () => {
  type Env = { Variables: { user: string } };
  const counted = eventStream(async (stream, _request: Request, c: Context<Env>) => stream.send(c.get("user")));
  const feed = hub.stream((_request: Request, c: Context<Env>) => ({ channels: "news", user: c.get("user") }));
  const handlers: Handler<Env>[] = [
    (c) => counted(c.req.raw, c),
    (c) => feed(c.req.raw, c),
    (c) => anything(c.req.raw),
  ];
  expect(handlers).toHaveLength(3);
  // @ts-expect-error the handler wants Hono's context
  expectTypeOf(() => counted(new Request("http://127.0.0.1"))).toBeFunction();
});

test("Next.js", () => {
  type Get = (request: Request, context: { params: Promise<{ from: string }> }) => Promise<Response>;
  expectTypeOf(anything).toExtend<Get>();
  const counted = eventStream(async (stream, _request: Request, context: { params: Promise<{ from: string }> }) => {
    await stream.send((await context.params).from);
  });
  expectTypeOf(counted).toExtend<Get>();
});

test("Node, and what Koa and Fastify keep of it", () => {
  expectTypeOf(anything).toExtend<http.RequestListener>();
  expectTypeOf(http.createServer).toBeCallableWith(anything);
  expectTypeOf(http2.createServer).toBeCallableWith(anything);
  const counted = eventStream(
    async (stream, _request: IncomingMessage, _response: ServerResponse, context: { user: string }) =>
      stream.send(context.user),
  );
  expectTypeOf(counted).toBeCallableWith({} as IncomingMessage, {} as ServerResponse, { user: "ann" });
});
