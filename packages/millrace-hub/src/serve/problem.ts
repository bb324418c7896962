import { STATUS_CODES } from "node:http";
import type { Context } from "hono";

/** A refusal as RFC 9457 has it. `detail` says what to do. */
export function problem(
  context: Context,
  status: 401 | 403 | 404 | 405 | 415 | 503,
  code: string,
  detail: string,
): Response {
  return context.json({ type: "about:blank", title: STATUS_CODES[status], status, code, detail }, status, {
    "content-type": "application/problem+json",
    "x-content-type-options": "nosniff",
  });
}
