import { answering } from "./answering.js";
import type { Answer, Api } from "./api.js";
import type { Exchange, Headers } from "./exchange.js";
import { checkHost } from "./hosts.js";

/** Answers for a hub: to who knows it by a name that it has. Its application is told of the answer. */
export async function hubAnswer(
  api: Api,
  exchange: Exchange,
  route: string,
  run: (headers: Headers) => Promise<void> | void,
): Promise<void> {
  const { cors, onError, allowedHosts } = api;
  const startMs = performance.now();
  await answering(exchange, { cors, onError, check: () => checkHost(allowedHosts, exchange) }, run);
  const { method, status } = exchange;
  if (status !== 0) tell(api, { method, status, route, durationMs: performance.now() - startMs });
}

/** What an application does with it must not undo the answer. */
function tell({ onAnswer, onError }: Api, answer: Answer): void {
  try {
    onAnswer(answer);
  } catch (error) {
    onError(error);
  }
}
