import type { Exchange } from "./exchange.js";
import { FetchExchange, infoOf } from "./fetch.js";
import { type NodeRequest, type NodeResponse, nodeExchange } from "./node.js";

/** A request as servers hand it over: Node's, or that of the Fetch standard. */
export type AnyRequest = NodeRequest | Request;

type NodeRoute<R> = (request: R, response: NodeResponse, ...rest: unknown[]) => Promise<void>;
type FetchRoute<R> = (request: R, ...rest: unknown[]) => Promise<Response>;

/**
 * What a router is given for a path. It takes what routers hand over: `(request, response)` of Node, as Express has it and
 * as Koa and Fastify keep it, or a Fetch `Request`, as Hono, Next.js, Bun and Deno have it, and then answers a `Response`.
 */
export type Route<R> = [R] extends [Request]
  ? FetchRoute<R>
  : [R] extends [NodeRequest]
    ? NodeRoute<R>
    : NodeRoute<NodeRequest> & FetchRoute<Request>;

/** Makes a route of what answers an exchange, whatever server it came through. It has to answer each. */
export function mounted<R>(answer: (exchange: Exchange) => Promise<void>, trustedProxies: readonly string[]): Route<R> {
  const route = async (request: AnyRequest, second: unknown): Promise<Response | undefined> => {
    if (!isFetch(request)) {
      const exchange = nodeExchange(request, second as NodeResponse, trustedProxies);
      if (exchange) await answer(exchange);
      return undefined;
    }
    const exchange = new FetchExchange(request, infoOf(second));
    await answer(exchange);
    return exchange.response();
  };
  return route as Route<R>;
}

/** By what it can do: a runtime's Request need not be of this realm's class. */
const isFetch = (request: AnyRequest): request is Request =>
  "get" in request.headers && typeof request.headers.get === "function";
