import { type CorsOptions, corsHeaders } from "./cors.js";
import { type Exchange, type Headers, PeerGone } from "./exchange.js";
import { plainHeaders } from "./headers.js";
import { Problem, respondProblem } from "./problem.js";

export interface AnsweringOptions {
  readonly cors: CorsOptions;
  /** Told what went wrong inside. */
  readonly onError: (error: unknown) => void;
  /** What to look at before anything else is. @throws Problem */
  readonly check?: (exchange: Exchange) => void;
}

/**
 * Answers a request; a Problem that is thrown meanwhile becomes the answer, all else is a 500, and told. `run` is given the
 * headers of every answer.
 */
export async function answering(
  exchange: Exchange,
  { cors, onError, check }: AnsweringOptions,
  run: (headers: Headers) => Promise<void> | void,
): Promise<void> {
  let headers = plainHeaders;
  try {
    if (exchange.malformed !== undefined) throw new Problem(400, "malformed_request", exchange.malformed);
    check?.(exchange);
    headers = { ...plainHeaders, ...corsHeaders(exchange, cors) };
    await run(headers);
  } catch (error) {
    if (error instanceof PeerGone) return;
    const known = error instanceof Problem;
    if (!known) onError(error);
    const internal = "something went wrong inside the server: its log says what";
    respondProblem(exchange, known ? error : new Problem(500, "internal", internal), headers);
  }
}
