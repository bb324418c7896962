import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { PeerGone, type Reading } from "./exchange.js";

/** Hands over a request's body part by part, as `Exchange.body` does. What comes after an error is thrown away. */
export function readBody(request: IncomingMessage | Http2ServerRequest, reading: Reading): Promise<void> {
  return new Promise((resolve, reject) => {
    // Their events have been: waiting for them would be for ever.
    if (request.readableEnded) throw bodyWasRead();
    if (request.destroyed) throw new PeerGone();
    const stop = (error: unknown) => {
      request.off("data", take);
      reject(error);
    };
    const take = (part: Uint8Array) => {
      try {
        reading.take(part);
      } catch (error) {
        stop(error);
      }
    };
    // A whole body is followed by its `close`: an error made then, with its stack, is for nothing.
    const gone = () => void (request.readableEnded || reject(new PeerGone()));
    reading.cut = stop;
    request.on("data", take).once("end", resolve).once("error", gone).once("close", gone);
  });
}

/** An application's mistake, for its log. */
export const bodyWasRead = (): Error =>
  new Error("the request's body was read before it came to the hub: mount the hub before a body parser");
