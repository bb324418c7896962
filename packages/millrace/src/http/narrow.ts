/** A head that was read without node:http: `GET /events` or `POST /publish`, and its headers by their names in lower case. */
export interface NarrowHead {
  readonly method: "GET" | "POST";
  readonly url: string;
  /** As Node has them: Latin-1, without the spaces around. No prototype, so a header may be called anything. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A head, and how it lies in its bytes. */
export interface Narrow extends NarrowHead {
  readonly headBytes: number;
  readonly bodyBytes: number;
}

/** Node's own limit, which counts less: whatever is taken here has a place there. */
const mostHeadBytes = 16 * 1024;
const mostHeaders = 100;

/**
 * The forms that are taken: RFC 9112 without any of its liberties. One CRLF at each line's end, no folding, no tabs, no
 * bytes in the target that need an encoding.
 */
const form =
  /^(?:GET \/events(?:\?[\w.~!$&'()*+,;=:@/?%-]*)?|POST \/publish) HTTP\/1\.1\r\n(?:[\w!#$%&'*+.^`|~-]+:[\x20-\x7e\x80-\xff]*\r\n)+\r\n$/;
const end = Buffer.from("\r\n\r\n");
/** No sign, no zero before it, no list; and exact as a number. */
const length = /^(?:0|[1-9]\d{0,14})$/;

/** A request with one of these wants of its connection what is not done here, or is not heard by Node. */
const refused = new Set(["__proto__", "transfer-encoding", "trailer", "expect", "upgrade", "proxy-connection"]);

/**
 * Reads the head of a plain `GET /events` or `POST /publish`, and what is there of the body; undefined for everything
 * else, which is node:http's: this must never take what node:http refuses, nor understand it differently. A header that
 * comes twice is nobody's here: Node joins some, and of others it keeps the first. Neither is a request that another
 * follows, of which Node answers one before it has read the other; nor `mode=poll`, whose clients ask again on the same
 * connection.
 */
export function readNarrow(bytes: Buffer): Narrow | undefined {
  const headBytes = bytes.indexOf(end) + end.length;
  if (headBytes < end.length || headBytes >= mostHeadBytes) return undefined;
  const text = bytes.toString("latin1", 0, headBytes);
  if (!form.test(text)) return undefined;
  const method = text.startsWith("GET") ? "GET" : "POST";
  const start = method.length + 1;
  // Each text is made from the bytes: a part of `text` would keep all of it for as long as the part is kept.
  const url = method === "POST" ? "/publish" : bytes.toString("latin1", start, text.indexOf(" ", start));
  if (url.includes("mode=")) return undefined;
  const headers: Record<string, string> = Object.create(null);
  let count = 0;
  for (let at = text.indexOf("\n") + 1; at < text.length - 2; at = text.indexOf("\n", at) + 1) {
    const colon = text.indexOf(":", at);
    const name = bytes.toString("latin1", at, colon).toLowerCase();
    if (name in headers || refused.has(name) || ++count > mostHeaders) return undefined;
    headers[name] = trimmed(bytes, colon + 1, text.indexOf("\r", colon));
  }
  if (headers.host === undefined || !/^(?:keep-alive|close)?$/i.test(headers.connection ?? "")) return undefined;
  const said = headers["content-length"];
  if (method === "POST" ? said === undefined || !length.test(said) : said !== undefined) return undefined;
  const bodyBytes = Number(said ?? 0);
  if (bytes.length > headBytes + bodyBytes) return undefined;
  return { method, url, headers: Object.freeze(headers), headBytes, bodyBytes };
}

const space = 0x20;

function trimmed(bytes: Buffer, start: number, end: number): string {
  let [first, behind] = [start, end];
  while (first < behind && bytes[first] === space) first++;
  while (behind > first && bytes[behind - 1] === space) behind--;
  return bytes.toString("latin1", first, behind);
}
