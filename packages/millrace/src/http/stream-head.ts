import type { OutgoingHttpHeaders } from "node:http";
import type { Headers } from "./exchange.js";
import { joinVary } from "./headers.js";

const framing = new Set([
  ...["connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding", "trailer"],
  ...["content-length", "content-encoding", "date"],
]);

/** Whether a header says how the bytes of an answer are framed or coded: a stream has its own way. */
export const isFraming = (name: string): boolean => framing.has(name.toLowerCase());

/**
 * The headers of a stream, and what the application's own middleware has set for the answer before: a stream is written
 * past the response object, which would have joined the two.
 */
export function joinHeaders(set: OutgoingHttpHeaders, headers: Headers): OutgoingHttpHeaders {
  const joined: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(set)) if (!isFraming(name)) joined[name] = value;
  return { ...joined, ...headers, ...varyOf(set, headers) };
}

/** `Vary`, of which neither side knows what the other has to say; none when neither says anything. */
export function varyOf(set: OutgoingHttpHeaders, headers: Headers): Headers {
  const vary = joinVary(set.vary, headers.vary);
  return vary === "" ? {} : { vary };
}
