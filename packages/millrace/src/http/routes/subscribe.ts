import type { ConnectOptions, Identity } from "../../hub/index.js";
import { closedId, cursorBlock, maxTimerMs, parseSelection } from "../../protocol/index.js";
import { PollSink } from "../../sink/index.js";
import { acceptsGzip, codingHeaders } from "../accept-encoding.js";
import type { Api } from "../api.js";
import { admit } from "../authorize.js";
import type { Exchange, Headers } from "../exchange.js";
import { streamHeaders } from "../headers.js";
import { Problem } from "../problem.js";
import { type Wanted, wantedBy } from "../wanted.js";

/** GET /events, and POST /events with a long selection in its body. */
export async function subscribe(api: Api, exchange: Exchange, headers: Headers): Promise<void> {
  const wanted = await wantedBy(api, exchange);
  await follow(api, exchange, headers, wanted, () => admit(api.authorize, exchange, "subscribe", wanted.channels));
}

/** Answers with what is wanted, to whoever `identify` says it is. */
export async function follow(
  api: Api,
  exchange: Exchange,
  headers: Headers,
  wanted: Wanted,
  identify: () => Promise<Identity> | Identity,
): Promise<void> {
  const { hub, gate } = api;
  // The header first: the native EventSource repeats its address, and in it an old cursor, at every reconnect.
  const lastEventId = exchange.header("last-event-id") || wanted.lastEventId;
  if (lastEventId === closedId) {
    exchange.respond(204, headers); // the standard's way to end reconnecting
    return;
  }
  const selection = parseSelection(wanted.channels);
  const identity = await identify();
  if (exchange.gone) return;
  if (hub.draining)
    throw new Problem(503, "closed", "the hub is shutting down: come back in a moment", { "retry-after": "1" });
  const { rewind } = wanted;
  const beginning = {
    ...{ selection, identity },
    ...(lastEventId ? { lastEventId } : {}),
    ...(rewind === undefined ? {} : { rewind }),
  };
  const start = hub.log.shared && (await hub.place(beginning));
  if (exchange.gone) return;
  if (lastEventId && hub.isOver(selection, lastEventId)) {
    exchange.respond(204, headers); // a stream that nothing ever comes on would stay open for good
    return;
  }
  const { remoteAddress } = exchange;
  const options: ConnectOptions = {
    ...beginning,
    ...(start ? { start } : {}),
    form: wanted.form,
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
    conflate: wanted.conflate,
    ...(wanted.everyMs === undefined || wanted.poll ? {} : { everyMs: wanted.everyMs }),
  };
  gate.enter(remoteAddress, identity.user);
  if (wanted.poll) await poll(api, exchange, options, headers, wanted.waitMs);
  else stream(api, exchange, options, headers);
}

function stream({ hub, compression }: Api, exchange: Exchange, options: ConnectOptions, headers: Headers): void {
  const gzip = compression && acceptsGzip(exchange.header("accept-encoding"));
  hub.connect({ ...options, gzip }, (id, position) =>
    exchange.stream({
      ...(compression ? codingHeaders(headers, gzip) : headers),
      ...streamHeaders,
      "millrace-connection": id,
      "millrace-position": position,
      "millrace-heartbeat-ms": String(hub.heartbeatMs),
    }),
  );
}

/** One read of the log, or, at the tail, the wait for the next entries. Resolves when it is answered. */
async function poll(
  { hub, gate }: Api,
  exchange: Exchange,
  options: ConnectOptions,
  headers: Headers,
  waitMs = Infinity,
): Promise<void> {
  const answer = (body: readonly Uint8Array[], position: string, more: Headers = {}) => {
    const answered = { ...headers, ...streamHeaders, "millrace-position": position, ...more };
    exchange.respond(200, answered, Buffer.concat(body));
  };
  if (options.lastEventId === undefined && options.rewind === undefined) {
    const position = hub.position();
    answer([Buffer.from(cursorBlock(position))], position);
    return;
  }
  const sink = new PollSink({ waits: waitMs > 0 });
  const subscriber = hub.connect({ ...options, quiet: true }, () => sink);
  const timer = setTimeout(() => sink.end(), Math.min(waitMs || Infinity, gate.limits.pollMs, maxTimerMs));
  timer.unref();
  exchange.onGone(() => sink.end());
  const { body, farewell } = await sink.answer;
  clearTimeout(timer);
  const position = hub.positionOf(subscriber);
  // Who only wants what is there need not ask once more to learn that it has had it all.
  const more = position === hub.position() ? {} : { "millrace-more": "1" };
  answer(farewell ? body : [...body, Buffer.from(cursorBlock(position))], position, more);
}
