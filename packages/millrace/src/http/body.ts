import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { BodyTooLarge, PeerGone } from "./exchange.js";

/** Somewhat too large: read on without keeping it, because an answer to a peer that still sends is seldom read. */
const patience = 8;

/** The whole body of a request. @throws BodyTooLarge, PeerGone */
export function readBody(request: IncomingMessage | Http2ServerRequest, limitBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    // Their events have been: waiting for them would be for ever.
    if (request.readableEnded) throw bodyWasRead();
    if (request.destroyed) throw new PeerGone();
    const parts: Buffer[] = [];
    let bytes = 0;
    const readBytes = limitBytes * patience;
    const take = (part: Buffer) => {
      bytes += part.length;
      if (bytes <= limitBytes) parts.push(part);
      else if (bytes > readBytes) refuse();
    };
    const refuse = () => {
      request.off("data", take);
      reject(new BodyTooLarge());
    };
    if (Number(request.headers["content-length"] ?? 0) > readBytes) return refuse();
    request.on("data", take);
    request.once("end", () => {
      if (bytes > limitBytes) refuse();
      else resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
    });
    request.once("error", () => reject(new PeerGone()));
    request.once("close", () => reject(new PeerGone()));
  });
}

/** An application's mistake, for its log. */
export const bodyWasRead = (): Error =>
  new Error("the request's body was read before it came to the hub: mount the hub before a body parser");
