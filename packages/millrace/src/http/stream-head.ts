import { type OutgoingHttpHeaders, STATUS_CODES } from "node:http";
import type { Headers } from "./exchange.js";

/** What says how the bytes of an answer are framed or coded: a stream has its own way. */
const framing = new Set([
  ...["connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding", "trailer"],
  ...["content-length", "content-encoding", "date"],
]);

/**
 * The headers of a stream, and what the application's own middleware has set for the answer before: a stream is written
 * past the response object, which would have joined the two.
 */
export function joinHeaders(set: OutgoingHttpHeaders, headers: Headers): OutgoingHttpHeaders {
  const joined: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(set)) if (!framing.has(name)) joined[name] = value;
  return Object.assign(joined, headers);
}

/** The head of a stream that its close delimits: no length, no chunks, HTTP/1.0 peers included. */
export function writeHead(headers: OutgoingHttpHeaders): Buffer {
  let head = `HTTP/1.1 200 ${STATUS_CODES[200]}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) head += `${name}: ${one}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, "latin1");
}
