import { MillraceError, type MillraceErrorCode } from "../protocol/index.js";
import type { Exchange, Headers } from "./exchange.js";

/** An answer that is an error, as RFC 9457 describes it. `detail` says what to do; it never holds a secret. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Headers;

  constructor(status: number, code: string, detail: string, headers: Headers = {}) {
    super(detail);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

/** Seconds after which a refused client may try again. */
export const retryLater = (seconds: number): Headers => ({ "retry-after": String(Math.max(1, Math.ceil(seconds))) });

const statuses: Readonly<Partial<Record<MillraceErrorCode, number>>> = {
  invalid_event: 400,
  invalid_channel: 400,
  invalid_option: 400,
  connection_gone: 404,
  run_active: 409,
  run_ended: 409,
  idempotency_conflict: 422,
  store_full: 507,
  store_failed: 503,
  store_unsure: 503,
  closed: 503,
};

/** What an error means to a client; undefined for one that is none of its business. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (!(error instanceof MillraceError)) return undefined;
  const status = statuses[error.code];
  if (status === undefined) return undefined;
  const detail =
    error.code === "store_failed" ? "the store cannot be used at present: nothing was kept" : error.message;
  return new Problem(status, error.code, detail, status >= 500 ? retryLater(5) : {});
}

/**
 * Runs what is the hub's own: its errors are answers. Those that the application's code throws are none, whatever their
 * class: what it wanted to publish is none of the client's business.
 */
export async function explained<T>(run: () => Promise<T> | T): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw problemOf(error) ?? error;
  }
}

export function respondProblem(exchange: Exchange, problem: Problem, headers: Headers): void {
  const { status } = problem;
  const all = { ...headers, ...problem.headers, "content-type": "application/problem+json" };
  exchange.respond(status, all, bodyOf(problem));
}

/** The whole answer as HTTP/1.1 writes it, for a connection that has no request yet. */
export function writeProblem(problem: Problem): string {
  const body = bodyOf(problem);
  return `HTTP/1.1 ${problem.status} ${titles[problem.status]}\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

function bodyOf({ status, code, message }: Problem): string {
  return `${JSON.stringify({ type: "about:blank", title: titles[status] ?? "Error", status, code, detail: message })}\n`;
}
