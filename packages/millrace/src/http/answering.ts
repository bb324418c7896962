import type { Answer } from "./api.js";
import { type CorsOptions, corsHeaders } from "./cors.js";
import { type Exchange, type Headers, PeerGone } from "./exchange.js";
import { plainHeaders } from "./headers.js";
import { checkHost } from "./hosts.js";
import { Problem, respondProblem } from "./problem.js";

export interface AnsweringOptions {
  readonly cors: CorsOptions;
  /** Told what went wrong inside. */
  readonly onError: (error: unknown) => void;
  /** Names a request may have in `Host`, beside loopback ones. Default: any. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Told of the answer. */
  readonly onAnswer?: (answer: Answer) => void;
}

/**
 * Answers a request; a Problem that is thrown meanwhile becomes the answer, all else is a 500, and told. `run` is given the
 * headers of every answer. `route` is what `onAnswer` is told as.
 */
export async function answering(
  exchange: Exchange,
  options: AnsweringOptions,
  run: (headers: Headers) => Promise<void> | void,
  route = "",
): Promise<void> {
  const startMs = performance.now();
  let headers = plainHeaders;
  try {
    if (exchange.malformed !== undefined) throw new Problem(400, "malformed_request", exchange.malformed);
    checkHost(options.allowedHosts, exchange);
    headers = { ...plainHeaders, ...corsHeaders(exchange, options.cors) };
    await run(headers);
  } catch (error) {
    if (error instanceof PeerGone) return;
    const known = error instanceof Problem;
    if (!known) options.onError(error);
    const internal = "something went wrong inside the server: its log says what";
    respondProblem(exchange, known ? error : new Problem(500, "internal", internal), headers);
  }
  const { method, status } = exchange;
  if (options.onAnswer && status !== 0)
    tell(options, { method, status, route, durationMs: performance.now() - startMs });
}

/** What an application does with it must not undo the answer. */
function tell({ onAnswer, onError }: AnsweringOptions, answer: Answer): void {
  try {
    onAnswer?.(answer);
  } catch (error) {
    onError(error);
  }
}
