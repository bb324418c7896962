import { type OutgoingHttpHeaders, STATUS_CODES, validateHeaderValue } from "node:http";

/**
 * The head of an answer, in Latin-1.
 * @param connection its own headers about the connection, each line with its end
 * @throws TypeError for a value that would be read as more than one header
 */
export function headText(status: number, headers: OutgoingHttpHeaders, connection: string): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nDate: ${date()}\r\n${connection}`;
  for (const name in headers) {
    const value = headers[name];
    if (!Array.isArray(value)) head += line(name, value);
    else for (const one of value) head += line(name, one);
  }
  return `${head}\r\n`;
}

function line(name: string, value: string | number | undefined): string {
  const text = String(value);
  validateHeaderValue(name, text);
  return `${name}: ${text}\r\n`;
}

/** The head of an answer that its close delimits: no chunks, HTTP/1.0 peers included; a stream has no length either. */
export function writeHead(status: number, headers: OutgoingHttpHeaders): Buffer {
  return Buffer.from(headText(status, headers, closing), "latin1");
}

export const closing = "Connection: close\r\n";

let second = 0;
let text = "";

/** Made once a second. */
function date(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    text = new Date(now * 1000).toUTCString();
  }
  return text;
}
