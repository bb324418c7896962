import { Problem } from "./problem.js";

const brokenEscape = /%(?![0-9a-fA-F]{2})/;

/**
 * Reads a query or a path strictly. `URLSearchParams` repairs what is broken, and then two servers see two names.
 * @throws Problem 400 when the percent-encoding is not valid UTF-8
 */
export function parseQuery(query: string): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? "" : part.slice(equals + 1);
    pairs.push([decode(name.replaceAll("+", " ")), decode(value.replaceAll("+", " "))]);
  }
  return pairs;
}

/** Decodes one percent-encoded part. */
export function decode(text: string): string {
  try {
    if (!brokenEscape.test(text)) return decodeURIComponent(text);
  } catch {
    // said below
  }
  throw new Problem(
    400,
    "invalid_encoding",
    "the address is not valid percent-encoded UTF-8: encode names as encodeURIComponent does",
  );
}
