import type { AnyEvents } from "../protocol/index.js";
import type { ConnectOptions } from "./connect-options.js";
import { type Subscription, subscribe } from "./subscription.js";
import type { WebUrl } from "./web-types.js";

/**
 * Follows the channels of a Millrace hub, or any other event stream, and comes back whatever happens: with the cursor
 * that it had, so that nothing is lost, and nothing comes twice.
 *
 * It never gives up by itself, but for an answer that says so: 204, or a refusal such as 403. `backoff.attempts` bounds it.
 *
 *     const stream = connect("https://example.org/events?channel=prices");
 *     stream.on("price", ({ data }) => show(data));
 *     stream.on("state", ({ state, waitMs }) => status(state, waitMs));
 *
 *     for await (const { type, data, channel } of stream) …
 *
 * @throws MillraceError `invalid_option`
 */
export function connect<E extends object = AnyEvents>(
  url: string | WebUrl,
  options: ConnectOptions<E> = {},
): Subscription<E> {
  return subscribe<E>(url, options);
}
