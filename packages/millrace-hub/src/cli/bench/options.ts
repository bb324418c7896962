import { clientOptions } from "../request.js";
import { parseCount, parseDuration, parseSize, parseSwitch, parseText, parseTimer, positive } from "../values.js";
import { parseHeader, parseStreamUrl } from "./target.js";

/** Everything that can be set about a load. */
export const benchOptions = {
  url: {
    value: "URL",
    default: "http://127.0.0.1:4000",
    secret: true,
    parse: parseStreamUrl,
    help: "Address of any event stream; without a path, of a hub.",
  },
  channel: {
    value: "NAME",
    default: undefined,
    many: true,
    parse: parseText,
    help: "A channel to subscribe to, added to the address. A hub takes general without one.",
  },
  connections: { value: "N", default: "1000", parse: positive(parseCount), help: "Streams to open." },
  duration: {
    value: "TIME",
    default: "60s",
    parse: positive(parseSeconds),
    help: "How long to measure, from when all are open; a number alone is seconds.",
  },
  ramp: {
    value: "auto|TIME",
    default: "auto",
    parse: parseRamp,
    help: "Time from one connection to the next, such as 50ms; 0ms begins all at once. auto is 50ms, or less when opening all would take more than 10s.",
  },
  timeout: {
    value: "TIME",
    default: "10s",
    parse: positive(parseTimer),
    help: "How long a stream may take to open.",
  },
  header: {
    value: "LINE",
    default: undefined,
    many: true,
    secret: true,
    parse: parseHeader,
    help: 'A header of the requests, such as "Cookie: session=4711".',
  },
  publish: {
    value: "N",
    default: undefined,
    parse: positive(parseCount),
    help: "Also publish so many events a second, on the first channel, and tell latency, losses and doubles. They are kept like any other: use a channel of its own.",
  },
  size: { value: "SIZE", default: "100B", parse: positive(parseSize), help: "Data of an event that is published." },
  threads: {
    value: "auto|N",
    default: "auto",
    parse: parseThreads,
    help: "Threads that read. auto is one for 250 connections, and at most one for each core.",
  },
  json: { value: undefined, default: undefined, parse: parseSwitch, help: "Print the report as JSON." },
  ...clientOptions,
} as const;

function parseSeconds(text: string): number {
  return parseTimer(/^\d+$/.test(text) ? `${text}s` : text);
}

/** Undefined: auto. */
function parseRamp(text: string): number | undefined {
  if (text === "auto") return undefined;
  try {
    return parseDuration(text);
  } catch (error) {
    throw new Error(`auto, or ${(error as Error).message}`);
  }
}

/** Undefined: auto. */
function parseThreads(text: string): number | undefined {
  if (text === "auto") return undefined;
  const threads = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (threads < 1 || threads > 128) throw new Error("auto, or a whole number from 1 to 128");
  return threads;
}
