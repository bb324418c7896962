/** A head that was read without node:http: `GET /events` and its headers, by their names in lower case. */
export interface NarrowHead {
  readonly url: string;
  /** As Node has them: Latin-1, without the spaces around. No prototype, so a header may be called anything. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Node's own limit, which counts less: whatever is taken here has a place there. */
const headBytes = 16 * 1024;
const mostHeaders = 100;

/**
 * The one form that is taken: RFC 9112 without any of its liberties. One CRLF at each line's end, no folding, no tabs, no
 * bytes in the target that need an encoding, and nothing behind the head.
 */
const form =
  /^GET \/events(?:\?[\w.~!$&'()*+,;=:@/?%-]*)? HTTP\/1\.1\r\n(?:[\w!#$%&'*+.^`|~-]+:[\x20-\x7e\x80-\xff]*\r\n)+\r\n$/;

/** A request with one of these has a body, wants of its connection what a stream is not, or is not heard by Node. */
const refused = [
  "__proto__",
  "content-length",
  "transfer-encoding",
  "trailer",
  "expect",
  "upgrade",
  "proxy-connection",
];

/**
 * Reads the head of a plain `GET /events`; undefined for everything else, which is node:http's: this must never take what
 * node:http refuses, nor understand it differently. A header that comes twice is nobody's here: Node joins some, and of
 * others it keeps the first. Neither is `mode=poll`, whose clients ask again on the same connection.
 */
export function readNarrow(bytes: Buffer): NarrowHead | undefined {
  if (bytes.length >= headBytes) return undefined;
  const text = bytes.toString("latin1");
  if (!form.test(text)) return undefined;
  const start = "GET ".length;
  // Each text is made from the bytes: a part of `text` would keep all of it for as long as the part is kept.
  const url = bytes.toString("latin1", start, text.indexOf(" ", start));
  if (url.includes("mode=")) return undefined;
  const headers: Record<string, string> = Object.create(null);
  let count = 0;
  for (let at = text.indexOf("\n") + 1; at < text.length - 2; at = text.indexOf("\n", at) + 1) {
    const colon = text.indexOf(":", at);
    const name = bytes.toString("latin1", at, colon).toLowerCase();
    if (name in headers || refused.includes(name) || ++count > mostHeaders) return undefined;
    headers[name] = trimmed(bytes, colon + 1, text.indexOf("\r", colon));
  }
  if (headers.host === undefined || !/^(?:keep-alive|close)?$/i.test(headers.connection ?? "")) return undefined;
  return { url, headers };
}

const space = 0x20;

function trimmed(bytes: Buffer, start: number, end: number): string {
  let [first, behind] = [start, end];
  while (first < behind && bytes[first] === space) first++;
  while (behind > first && bytes[behind - 1] === space) behind--;
  return bytes.toString("latin1", first, behind);
}
