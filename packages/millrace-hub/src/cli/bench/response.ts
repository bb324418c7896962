/** The head of an answer (RFC 9112): its status, and its headers by their names in lower case. */
export interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** Where the body begins in the bytes that were read. */
  readonly bodyAt: number;
}

/** Undefined: it is not complete. @throws Error when it is no answer of HTTP/1.1 */
export function readHead(bytes: Buffer): Head | undefined {
  // As soon as it is seen: whoever speaks another protocol may never send the end of a line.
  const begin = "HTTP/1.";
  if (!begin.startsWith(bytes.toString("latin1", 0, begin.length))) throw new Error("no answer of HTTP/1.1");
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) {
    if (bytes.length > mostBytes) throw new Error("a head without an end");
    return undefined;
  }
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1]);
  if (Number.isNaN(status)) throw new Error("no answer of HTTP/1.1");
  const bodyAt = end + 4;
  if (status < 200) {
    // Early hints and the like: the answer itself is behind them.
    const head = readHead(bytes.subarray(bodyAt));
    return head && { ...head, bodyAt: bodyAt + head.bodyAt };
  }
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status, headers, bodyAt };
}

const mostBytes = 64 * 1024;
const [lf, cr] = [0x0a, 0x0d];

/** Takes the chunked transfer coding (RFC 9112, 7.1) off a body, wherever reads cut it. */
export class Dechunker {
  /** Bytes of the chunk that are still to come. */
  #left = 0;
  #line = "";

  /** @returns whether the body has ended. @throws Error when the bytes are no chunks */
  feed(bytes: Buffer, from: number, to: number, take: (bytes: Buffer, from: number, to: number) => void): boolean {
    let at = from;
    while (at < to) {
      if (this.#left > 0) {
        const end = Math.min(to, at + this.#left);
        take(bytes, at, end);
        this.#left -= end - at;
        at = end;
        continue;
      }
      const byte = bytes[at++];
      if (byte !== lf) {
        if (byte !== cr) this.#line += String.fromCharCode(byte as number);
        if (this.#line.length > 1024) throw new Error("no size of a chunk");
        continue;
      }
      if (this.#line === "") continue; // the line end behind a chunk
      const size = /^[0-9a-f]{1,12}(?=\s*(?:;|$))/i.exec(this.#line)?.[0];
      if (size === undefined) throw new Error("no size of a chunk");
      this.#line = "";
      this.#left = Number.parseInt(size, 16);
      if (this.#left === 0) return true;
    }
    return false;
  }
}
