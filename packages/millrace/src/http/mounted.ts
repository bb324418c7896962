import type { Exchange } from "./exchange.js";
import { FetchExchange, infoOf } from "./fetch.js";
import { type NodeRequest, type NodeResponse, nodeExchange } from "./node.js";

/** A request as servers hand it over: Node's, or that of the Fetch standard. */
export type AnyRequest = NodeRequest | Request;

type NodeRoute<R, Rest extends unknown[]> = Rest extends [infer Second, ...infer More]
  ? (request: R, response: Second, ...rest: [...More, ...unknown[]]) => Promise<void>
  : (request: R, response: NodeResponse, ...rest: unknown[]) => Promise<void>;
type FetchRoute<R, Rest extends unknown[]> = (request: R, ...rest: [...Rest, ...unknown[]]) => Promise<Response>;

/**
 * What a router is given for a path. It takes what routers hand over: `(request, response)` of Node, as Express has it and
 * as Koa and Fastify keep it, or a Fetch `Request`, as Hono, Next.js, Bun and Deno have it, and then answers a `Response`.
 *
 * `Rest` is what the application's own function wants to be given behind the request; without it, that may be anything.
 */
export type Route<R, Rest extends unknown[] = unknown[]> = [R] extends [Request]
  ? FetchRoute<R, Rest>
  : [R] extends [NodeRequest]
    ? NodeRoute<R, Rest>
    : NodeRoute<NodeRequest, Rest> & FetchRoute<Request, Rest>;

/**
 * Makes a route of what answers an exchange, whatever server it came through. It has to answer each. `rest` is what the
 * route was given behind the request.
 */
export function mounted<R, Rest extends unknown[] = unknown[]>(
  answer: (exchange: Exchange, rest: Rest) => Promise<void>,
  trustedProxies: readonly string[],
): Route<R, Rest> {
  const route = async (request: AnyRequest, ...given: unknown[]): Promise<Response | undefined> => {
    const rest = given as Rest;
    const [second] = given;
    if (!isFetch(request)) {
      const exchange = nodeExchange(request, second as NodeResponse, trustedProxies);
      if (exchange) await answer(exchange, rest);
      return undefined;
    }
    const exchange = new FetchExchange(request, infoOf(second));
    await answer(exchange, rest);
    return exchange.response();
  };
  return route as Route<R, Rest>;
}

/** By what it can do: a runtime's Request need not be of this realm's class. */
const isFetch = (request: AnyRequest): request is Request =>
  "get" in request.headers && typeof request.headers.get === "function";
