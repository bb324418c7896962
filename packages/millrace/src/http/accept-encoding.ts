import type { Headers } from "./exchange.js";
import { joinVary } from "./headers.js";

/** RFC 9110, sections 12.4.2 and 12.5.3: a coding, and how much it is wanted. */
const preference = /^([\w!#$%&'*+.^`|~-]+)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/i;

/**
 * Whether an answer to that `Accept-Encoding` may be compressed by gzip, and the client does not want it plain more. One
 * that says nothing may not know how (curl without `--compressed` is such a client), and what is not well-formed says
 * nothing.
 */
export function acceptsGzip(value: string | undefined): boolean {
  const wanted = new Map<string, number>();
  for (const part of (value ?? "").split(",")) {
    const text = part.trim();
    if (text === "") continue; // RFC 9110, section 5.6.1: lists may have empty elements
    const [, coding, weight = "1"] = preference.exec(text) ?? [];
    if (coding === undefined) return false;
    wanted.set(coding.toLowerCase(), Number(weight));
  }
  // RFC 9110, section 8.4.1.3: x-gzip is the same.
  const gzip = wanted.get("gzip") ?? wanted.get("x-gzip") ?? wanted.get("*") ?? 0;
  return gzip > 0 && gzip >= (wanted.get("identity") ?? 0);
}

/** The headers of a stream that is compressed for some: a cache must not give it to others (RFC 9110, section 12.5.5). */
export function codingHeaders(headers: Headers, gzip: boolean): Headers {
  const vary = joinVary(headers.vary, "Accept-Encoding");
  return { ...headers, vary, ...(gzip ? { "content-encoding": "gzip" } : {}) };
}
