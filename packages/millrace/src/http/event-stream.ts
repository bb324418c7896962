import { randomUUID } from "node:crypto";
import { validateHeaderName, validateHeaderValue } from "node:http";
import {
  type AnyEvents,
  checkNumber,
  checkOptionKinds,
  closedId,
  encodeBlock,
  heartbeatBlock,
  invalidOption,
  type Kind,
  keepaliveBlock,
  MillraceError,
  maxTimerMs,
} from "../protocol/index.js";
import { Deadlines } from "../sink/deadlines.js";
import { type EventStream, OpenStream, runHandler, type StreamHandler, type StreamIdentity } from "../stream/index.js";
import { answering } from "./answering.js";
import { type Authorize, admit } from "./authorize.js";
import { preflightHeaders } from "./cors.js";
import type { Exchange, Headers } from "./exchange.js";
import { guarded } from "./guarded.js";
import { streamHeaders } from "./headers.js";
import { type AnyRequest, mounted, type Route } from "./mounted.js";
import { originOf } from "./origins.js";
import { Problem, retryLater } from "./problem.js";
import { isFraming } from "./stream-head.js";

export interface EventStreamOptions<R = AnyRequest> {
  /** How often a heartbeat is sent, in milliseconds. Default 15,000; 0 turns heartbeats off. */
  readonly heartbeatMs?: number;
  /** `comment` (default), or `event`: a `heartbeat` event that page code sees. */
  readonly heartbeatForm?: "comment" | "event";
  /** A stream whose client has not taken what it was sent for so long is cut. Default Infinity: a peer may be as slow as it likes. */
  readonly stallMs?: number;
  /** Clients are told at the start to wait so long before they reconnect, in milliseconds. Default: not told; browsers wait 3,000 or so. */
  readonly retryMs?: number;
  /** Further headers of the answer, or what makes them for one stream. What frames it (`Connection`, …) is left out. */
  readonly headers?: Headers | ((stream: { readonly id: string }, request: R) => Headers);
  /** Names a stream. Default: a random UUID. */
  readonly id?: (request: R) => string;
  /** Origins whose pages may read, `*` for any without credentials. Default: none but its own. */
  readonly corsOrigins?: readonly string[];
  /** Who may read: what it answers is `stream.identity`. Default: whom the middleware in front lets through. */
  readonly authorize?: Authorize;
  /** How much may wait for a slow client of what was sent without waiting, in bytes. Default 1 MiB. */
  readonly maxUnsentBytes?: number;
  /** Addresses of proxies whose `X-Forwarded-For` is believed. Default: none. */
  readonly trustedProxies?: readonly string[];
  /** Told what a handler throws. Default: `console.error`. */
  readonly onError?: (error: unknown, request: R) => void;
}

const kinds: Readonly<Record<keyof EventStreamOptions, readonly Kind[]>> = {
  heartbeatMs: ["number"],
  heartbeatForm: ["string"],
  stallMs: ["number"],
  retryMs: ["number"],
  headers: ["object", "function"],
  id: ["function"],
  corsOrigins: ["array"],
  authorize: ["function"],
  maxUnsentBytes: ["number"],
  trustedProxies: ["array"],
  onError: ["function"],
};

/** A route that answers with streams, and those that are open. */
export type EventStreamRoute<R, Rest extends unknown[] = unknown[]> = Route<R, Rest> & {
  readonly streams: ReadonlySet<EventStream>;
  /**
   * Ends all streams, and refuses new ones: for a shutdown, before the server's own. Clients come back, to whoever is there
   * then. Resolves when the last stream is gone; those that are not after `drainMs` (default 3,000) are cut.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>;
};

/**
 * Makes a route of a handler that writes events to one client. It fits Express, Koa, Fastify, `node:http` and `node:http2`,
 * and as a Fetch handler Hono, Next.js, Bun and Deno.
 *
 *     app.get("/ticks", eventStream(async (stream) => {
 *       for (let n = 1; n <= 10; n++) {
 *         await stream.send({ event: "tick", data: { n } });
 *         await setTimeout(1000);
 *       }
 *     }));
 *
 * Behind the stream the handler is given the very request that the route was given, with what other middleware has put into
 * it, and whatever came behind that: Express's response, the `{ params }` of Next.js, or what an application hands over:
 *
 *     const ticks = eventStream(async (stream, request, c: Context) => stream.send({ data: c.get("user") }));
 *     app.get("/ticks", (c) => ticks(c.req.raw, c)); // Hono
 *
 * @throws MillraceError `invalid_option`
 */
export function eventStream<
  R extends AnyRequest = AnyRequest,
  Rest extends unknown[] = unknown[],
  E extends object = AnyEvents,
>(handler: StreamHandler<R, Rest, E>, options: EventStreamOptions<R> = {}): EventStreamRoute<R, Rest> {
  if (typeof handler !== "function")
    throw invalidOption("handler", handler, "it is a function that writes to a stream");
  checkOptionKinds("eventStream", options, kinds);
  const { heartbeatMs: everyMs = 15_000, heartbeatForm = "comment", retryMs, stallMs = Infinity } = options;
  const heartbeatMs = everyMs === Infinity ? 0 : everyMs;
  const { authorize, maxUnsentBytes = 1024 * 1024 } = options;
  const { headers: more = {}, trustedProxies = [] } = options;
  const onError = guarded(options.onError ?? ((error: unknown) => console.error(error)));
  checkNumber("heartbeatMs", heartbeatMs, 0, maxTimerMs);
  checkNumber("retryMs", retryMs, 0, maxTimerMs);
  checkNumber("stallMs", stallMs, Number.MIN_VALUE, Infinity);
  if (typeof more === "object") checkHeaders(more);
  if (!Number.isInteger(retryMs ?? 0)) throw invalidOption("retryMs", retryMs, "it is a whole number");
  if (heartbeatForm !== "comment" && heartbeatForm !== "event") {
    throw invalidOption("heartbeatForm", heartbeatForm, "it is comment or event");
  }
  checkNumber("maxUnsentBytes", maxUnsentBytes, 0, Number.MAX_SAFE_INTEGER);
  const cors = { origins: (options.corsOrigins ?? []).map(originOf), loopback: false };
  const streams = new Set<OpenStream>();
  let closing = false;
  const deadlines = new Deadlines<OpenStream>({
    heartbeatMs,
    onHeartbeat: (due) => {
      const nowMs = Date.now();
      const block = heartbeatForm === "event" ? heartbeatBlock(nowMs) : keepaliveBlock(nowMs);
      for (const stream of due) if (!stream.isFull) void stream.write(block);
    },
    onDeadline: (stream) => {
      if (stream.isOpen) stream.close({ reason: "expired" });
      else if (stream.hasTaken()) deadlines.ending(stream);
      else stream.destroy();
    },
    onTick: () => {
      if (stallMs === Infinity) return;
      const nowMs = Date.now();
      for (const stream of streams) if (stream.stalledMs(nowMs) > stallMs) stream.destroy();
    },
  });

  const open = (
    exchange: Exchange,
    headers: Headers,
    { identity, lastEventId, rest }: { identity: StreamIdentity; lastEventId: string; rest: Rest },
  ) => {
    const request = exchange.raw as R;
    const id = options.id?.(request) ?? randomUUID();
    const sink = exchange.stream({
      ...headers,
      ...streamHeaders,
      ...checkedHeaders({ "millrace-connection": id }),
      "millrace-heartbeat-ms": String(heartbeatMs),
      ...checkedHeaders(typeof more === "function" ? more({ id }, request) : more),
    });
    const stream = new OpenStream({
      ...{ id, sink, lastEventId, identity, maxUnsentBytes },
      onEnding: (ending) => deadlines.ending(ending),
      onClosed: (closed) => {
        deadlines.remove(closed);
        streams.delete(closed);
      },
      onError: (error) => onError(error, request),
    });
    streams.add(stream);
    deadlines.add(stream, true);
    // The head leaves with it: a client is to know that it is connected before there is anything to say.
    void stream.write(encodeBlock(retryMs === undefined ? { comment: "" } : { retry: retryMs }));
    runHandler(handler, stream, [request, ...rest], (error) => onError(error, request));
  };

  const answer = (exchange: Exchange, rest: Rest) =>
    answering(exchange, { cors, onError: (error) => onError(error, exchange.raw as R) }, async (headers) => {
      const { method } = exchange;
      if (method === "OPTIONS") return exchange.respond(204, { ...headers, ...preflightHeaders(exchange, cors) });
      const lastEventId = lastEventIdOf(exchange);
      if (lastEventId === closedId) return exchange.respond(204, headers);
      const identity = authorize ? await admit(authorize, exchange, "subscribe", []) : {};
      if (exchange.gone) return;
      if (closing)
        throw new Problem(503, "closed", "this server is shutting down: come back in a moment", retryLater(1));
      if (method === "HEAD") return exchange.respond(200, { ...headers, ...streamHeaders });
      open(exchange, headers, { identity, lastEventId, rest });
    });

  return Object.assign(mounted<R, Rest>(answer, trustedProxies), {
    streams,
    close: async ({ drainMs = 3000 } = {}) => {
      closing = true;
      const open = [...streams];
      for (const stream of open) stream.close({ reason: "shutdown" });
      const cut = () => {
        for (const stream of open) stream.destroy();
      };
      const timer = setTimeout(cut, Math.min(drainMs, maxTimerMs));
      await Promise.all(open.map(({ closed }) => closed));
      clearTimeout(timer);
    },
  });
}

/** The header, or the parameter `lastEventId`: a page that makes its `EventSource` anew can only write it there. */
const lastEventIdOf = (exchange: Exchange): string =>
  exchange.header("last-event-id") || (new URLSearchParams(exchange.query).get("lastEventId") ?? "");

/** @throws MillraceError `invalid_option` */
function checkHeaders(headers: Headers): void {
  try {
    checkedHeaders(headers);
  } catch (cause) {
    throw new MillraceError("invalid_option", `headers: ${(cause as Error).message}`, { cause });
  }
}

/** A head is written as bytes: what an application took from a request could else add lines to it. */
function checkedHeaders(headers: Headers): Headers {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => {
      validateHeaderName(name);
      validateHeaderValue(name, value);
      return isFraming(name) ? [] : [[name.toLowerCase(), value]];
    }),
  );
}
