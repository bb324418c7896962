import type { Exchange } from "./exchange.js";
import type { Intake } from "./intake.js";
import { Problem } from "./problem.js";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The media type of the request, without parameters, in lower case. */
export function mediaType(exchange: Exchange): string {
  return (exchange.header("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/** The body as text. @throws Problem as `Intake.read`, 415 when it is compressed, 400 when it is not UTF-8 */
export function readText(exchange: Exchange, intake: Intake): string | Promise<string> {
  const coding = exchange.header("content-encoding") ?? "identity";
  if (coding.toLowerCase() !== "identity") {
    throw new Problem(415, "unsupported_media_type", "the body is compressed: send it without Content-Encoding");
  }
  const bytes = intake.read(exchange);
  return bytes instanceof Promise ? bytes.then(textOf) : textOf(bytes);
}

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Problem(400, "invalid_encoding", "the body is not valid UTF-8");
  }
}

/** The body as JSON, which it must say it is. */
export async function readJson(exchange: Exchange, intake: Intake): Promise<unknown> {
  if (mediaType(exchange) !== "application/json") {
    throw new Problem(415, "unsupported_media_type", "send the body with the header Content-Type: application/json");
  }
  return parseJson(await readText(exchange, intake), "the body");
}

/** @throws Problem 400 that says where the text stops to be JSON */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(400, "invalid_json", `${what} is not JSON: ${(error as Error).message}`);
  }
}
