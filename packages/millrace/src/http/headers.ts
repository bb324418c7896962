import type { OutgoingHttpHeader } from "node:http";
import type { Headers } from "./exchange.js";

/** The head of every stream, each with its reason. */
export const streamHeaders: Headers = {
  "content-type": "text/event-stream; charset=utf-8",
  // A cache or a proxy must neither keep a stream, nor hold it back to compress it.
  "cache-control": "no-cache, no-store, must-revalidate, no-transform",
  pragma: "no-cache", // HTTP/1.0 caches know no Cache-Control
  expires: "0", // nor do they keep what has expired
  "x-accel-buffering": "no", // nginx collects an answer until its buffers are full, unless it is told
  "x-content-type-options": "nosniff", // old browsers wait for 512 bytes to guess the type
};

/** The head of an answer that is no stream. */
export const plainHeaders: Headers = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

/** What several parts of an answer say in `Vary`, each name once. */
export function joinVary(...values: readonly (OutgoingHttpHeader | undefined)[]): string {
  const names = new Map<string, string>();
  for (const value of values) {
    for (const part of String(value ?? "").split(",")) {
      const name = part.trim();
      if (name !== "") names.set(name.toLowerCase(), name);
    }
  }
  return [...names.values()].join(", ");
}
