import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { PeerGone } from "./exchange.js";

/** Hands over a request's body part by part, as `Exchange.body` does. What comes after an error is thrown away. */
export function readBody(
  request: IncomingMessage | Http2ServerRequest,
  take: (part: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    // Their events have been: waiting for them would be for ever.
    if (request.readableEnded) throw bodyWasRead();
    if (request.destroyed) throw new PeerGone();
    const stop = (error: unknown) => {
      request.off("data", onData);
      reject(error);
    };
    const onData = (part: Uint8Array) => {
      try {
        take(part);
      } catch (error) {
        stop(error);
      }
    };
    request.on("data", onData);
    request.once("end", resolve);
    request.once("error", () => reject(new PeerGone()));
    request.once("close", () => reject(new PeerGone()));
    signal.addEventListener("abort", () => stop(signal.reason), { once: true });
  });
}

/** An application's mistake, for its log. */
export const bodyWasRead = (): Error =>
  new Error("the request's body was read before it came to the hub: mount the hub before a body parser");
