import { type OutgoingHttpHeaders, STATUS_CODES, validateHeaderValue } from "node:http";
import type { Headers } from "./exchange.js";

const framing = new Set([
  ...["connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding", "trailer"],
  ...["content-length", "content-encoding", "date"],
]);

/** Whether a header says how the bytes of an answer are framed or coded: a stream has its own way. */
export const isFraming = (name: string): boolean => framing.has(name.toLowerCase());

/**
 * The headers of a stream, and what the application's own middleware has set for the answer before: a stream is written
 * past the response object, which would have joined the two.
 */
export function joinHeaders(set: OutgoingHttpHeaders, headers: Headers): OutgoingHttpHeaders {
  const joined: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(set)) if (!isFraming(name)) joined[name] = value;
  return Object.assign(joined, headers);
}

/**
 * The head of an answer that its close delimits: no chunks, HTTP/1.0 peers included; a stream has no length either.
 * @throws TypeError for a value that would be read as more than one header
 */
export function writeHead(status: number, headers: OutgoingHttpHeaders): Buffer {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      validateHeaderValue(name, String(one));
      head += `${name}: ${one}\r\n`;
    }
  }
  return Buffer.from(`${head}\r\n`, "latin1");
}
