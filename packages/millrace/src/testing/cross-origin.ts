import type { IncomingHttpHeaders, IncomingMessage } from "node:http";

/** What lets pages of any origin read an answer (Fetch, "CORS protocol"). Nothing when the request comes from no page. */
export function readable({ origin }: IncomingHttpHeaders): Record<string, string> {
  if (origin === undefined) return {};
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "*",
  };
}

/** Whether a browser asks if it may ask. */
export const isPreflight = ({ method, headers }: IncomingMessage): boolean =>
  method === "OPTIONS" && headers["access-control-request-method"] !== undefined;

export function permission({ headers }: IncomingMessage): Record<string, string> {
  return {
    ...readable(headers),
    "access-control-allow-methods": headers["access-control-request-method"] ?? "",
    "access-control-allow-headers": headers["access-control-request-headers"] ?? "",
  };
}
