import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { checkNumber, checkOptionKinds, invalidOption } from "../protocol/index.js";
import { checkManner, type Trickle } from "./flow.js";
import type { Outlet } from "./outlet.js";

/** A request that the server has had. */
export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Names in lower case; values as their bytes came, in Latin-1. */
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** When it came, by the clock of `performance.now()`. */
  readonly atMs: number;
  /** The answer is over: it has ended, it was cut, or the client has gone. */
  readonly closed: boolean;
}

export interface ScriptedResponse {
  /** Default 200. */
  readonly status?: number | undefined;
  /** Beside `Content-Type: text/event-stream` and those of CORS. One of that name replaces it; an empty one leaves it out. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Written one by one, each in a packet of its own; a number waits for so many milliseconds. */
  readonly body?: readonly (string | Uint8Array | number)[] | undefined;
  /** What comes after the body: its end, silence, or the connection is cut so that the body is not whole. Default `end`. */
  readonly finish?: "end" | "stall" | "cut" | undefined;
  /** The body goes in small pieces, wherever they part a character or a line end. */
  readonly trickle?: Trickle | undefined;
  /** Head and body are kept back until there are so many bytes, or the end: as by a proxy. `Infinity`: until the end. */
  readonly holdBytes?: number | undefined;
}

/**
 * What becomes of a request: an answer; `cut`, the connection is closed without a word; `stall`, there is no answer;
 * `pass`, the target answers.
 */
export type ScriptedAnswer = ScriptedResponse | "cut" | "stall" | "pass";

/** @throws MillraceError `invalid_option` */
export function checkAnswer(answer: ScriptedAnswer, hasTarget: boolean): void {
  if (answer === "cut" || answer === "stall") return;
  if (answer === "pass") {
    if (hasTarget) return;
    throw invalidOption("an answer", answer, "there is nothing to pass it to: startFaultServer({ target })");
  }
  if (typeof answer !== "object" || answer === null) {
    throw invalidOption("an answer", answer, 'it is { status, headers, body, finish }, "cut", "stall" or "pass"');
  }
  checkOptionKinds("an answer", answer, {
    status: ["number"],
    headers: ["object"],
    body: ["array"],
    finish: ["string"],
    trickle: ["object"],
    holdBytes: ["number"],
  });
  checkNumber("status", answer.status, 200, 599);
  checkManner(answer);
  const { finish = "end", body = [] } = answer;
  if (!["end", "stall", "cut"].includes(finish)) throw invalidOption("finish", finish, "it is end, stall or cut");
  for (const piece of body) {
    if (typeof piece === "number") checkNumber("a pause", piece, 0, Infinity);
    else if (typeof piece !== "string" && !(piece instanceof Uint8Array))
      throw invalidOption("a piece of a body", piece, "it is a text, bytes, or a pause in milliseconds");
  }
}

/** What was written last is read before: a body that breaks drops, in the client, what its reader has not had yet. */
const beforeCutMs = 20;

/** @param always headers that it has beside those of its own */
export async function perform(
  answer: ScriptedResponse,
  always: Readonly<Record<string, string>>,
  outlet: Outlet,
): Promise<void> {
  const { status = 200, body = [], finish = "end" } = answer;
  const atOnce = finish === "end" && !answer.trickle && !body.some((piece) => typeof piece === "number");
  await outlet.open(status, headersOf(status, always, answer.headers), atOnce);
  for (const piece of body) {
    if (outlet.gone.aborted) return;
    if (typeof piece === "number") await outlet.pause(piece);
    else await outlet.write(typeof piece === "string" ? Buffer.from(piece) : piece);
  }
  if (finish === "end") await outlet.end();
  else if (finish === "cut") {
    await outlet.pause(beforeCutMs);
    outlet.cut();
  }
}

function headersOf(
  status: number,
  always: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>> = {},
): OutgoingHttpHeaders {
  const headers: Record<string, string> = { ...always };
  if (status !== 204) headers["content-type"] = "text/event-stream";
  for (const [name, value] of Object.entries(own)) headers[name.toLowerCase()] = value;
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ""));
}
