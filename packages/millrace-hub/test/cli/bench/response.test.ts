import { describe, expect, it } from "vitest";
import { Dechunker, readHead } from "../../../src/cli/bench/response.js";

describe("the head of an answer", () => {
  it("is read when it is complete", () => {
    const text = "HTTP/1.1 200 OK\r\nContent-Type:  text/event-stream \r\nX: a:b\r\n\r\ndata: x";
    for (let end = 0; end < text.indexOf("data"); end++)
      expect(readHead(Buffer.from(text.slice(0, end)))).toBeUndefined();
    const head = readHead(Buffer.from(text));
    expect(head).toMatchObject({ status: 200, bodyAt: text.indexOf("data") });
    expect(head?.headers).toEqual(
      new Map([
        ["content-type", "text/event-stream"],
        ["x", "a:b"],
      ]),
    );
  });

  it("may come behind others", () => {
    const early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    expect(readHead(Buffer.from(early))).toBeUndefined();
    expect(readHead(Buffer.from(`${early}HTTP/1.0 503\r\n\r\n`))).toMatchObject({
      status: 503,
      bodyAt: early.length + 16,
    });
  });

  it.each(["SSH-2.0-OpenSSH", "HTTP/2 200\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "\u0015\u0003\u0001"])(
    "%j is none",
    (text) => {
      expect(() => readHead(Buffer.from(text))).toThrow("no answer of HTTP/1.1");
    },
  );

  it("has an end", () => {
    expect(() => readHead(Buffer.from(`HTTP/1.1 200 OK\r\n${"x".repeat(70_000)}`))).toThrow("without an end");
  });
});

describe("chunks", () => {
  const text = "5\r\nhello\r\nA;name=value\r\n0123456789\r\n1\r\n\n\r\n0\r\nTrailer: x\r\n\r\n";

  it.each([1, 2, 3, 7, 100])("come in pieces of %i bytes", (length) => {
    const bytes = Buffer.from(text);
    const chunks = new Dechunker();
    let body = "";
    let ended = false;
    for (let at = 0; at < bytes.length && !ended; at += length) {
      ended = chunks.feed(bytes, at, Math.min(bytes.length, at + length), (from, start, end) => {
        body += from.toString("latin1", start, end);
      });
    }
    expect({ body, ended }).toEqual({ body: "hello0123456789\n", ended: true });
  });

  it.each(["hello\r\n", "-1\r\n", "0x5\r\n", `${"1".repeat(2000)}`])("%j is none", (bytes) => {
    expect(() => new Dechunker().feed(Buffer.from(bytes), 0, bytes.length, () => {})).toThrow("no size of a chunk");
  });
});
