import { type Logger, pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";

export type { Logger };

/** Longest piece of an event's data in a log line, in characters. */
const dataLength = 200;

/** A log on standard error, with ISO times. Values of clients stand in quoted fields, never in the message. */
export function createLogger(level: string, format: "text" | "json"): Logger {
  const options = { level, base: null, timestamp: stdTimeFunctions.isoTime };
  if (format === "json") return pino(options, pino.destination({ dest: 2, sync: true }));
  return pino(
    options,
    pretty({
      destination: 2,
      sync: true,
      colorize: process.stderr.isTTY ?? false,
      translateTime: false,
      singleLine: true,
    }),
  );
}

/** Data as a log shows it. */
export const cut = (data: string): string => (data.length > dataLength ? `${data.slice(0, dataLength)}...` : data);
