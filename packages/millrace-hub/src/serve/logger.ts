import { type Logger, pino, stdTimeFunctions } from "pino";
import { prettyFactory } from "pino-pretty";

export type { Logger };

/** Longest piece of an event's data in a log line, in characters. */
const dataLength = 200;

/** Of what could not be written, so much is kept for when it can be again; without a limit a full disk would fill memory too. */
const waitingBytes = 64 * 1024;

/** What JSON leaves as it is, and some terminal takes for a command or the end of a line. */
const unsafe = /[\u007f-\u009f\u2028\u2029\p{Bidi_Control}]/gu;

/**
 * A log with ISO times, one line each. What cannot be written is lost, and its user goes on. Values of clients stand in quoted fields, never in the message.
 * @param file descriptor that it is written to; default standard error
 */
export function createLogger(level: string, format: "text" | "json", file = 2): Logger {
  const destination = pino.destination({ dest: file, sync: true, maxLength: waitingBytes });
  destination.on("error", () => {}); // there is nowhere left to say it; unheard, a full disk would end the hub
  const asText = prettyFactory({ colorize: process.stderr.isTTY ?? false, translateTime: false, singleLine: true });
  const write = (line: string) => {
    const text = format === "json" ? line : asText(line);
    destination.write(text.replace(unsafe, escaped));
  };
  return pino({ level, base: null, timestamp: stdTimeFunctions.isoTime }, { write });
}

/** Data as a log shows it; no character is halved. */
export function cut(data: string): string {
  if (data.length <= dataLength) return data;
  const end = /[\ud800-\udbff]/.test(data.charAt(dataLength - 1)) ? dataLength - 1 : dataLength;
  return `${data.slice(0, end)}...`;
}

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
