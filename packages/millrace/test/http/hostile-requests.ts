/** A request that nobody well-meaning sends. Texts are Latin-1: `\xff` is one byte. */
export interface HostileRequest {
  readonly what: string;
  readonly send: string;
  /** What is answered, 0: nothing, the connection is closed. */
  readonly status: number;
  /** The answer is Node's own, which says nothing. */
  readonly bare?: boolean;
  /** The peer half-closes behind it. */
  readonly ends?: boolean;
}

const host = "Host: localhost";
const get = (target: string, ...headers: string[]) => request(`GET ${target} HTTP/1.1`, headers);
const request = (line: string, headers: readonly string[], body = "") =>
  `${[line, host, ...headers].join("\r\n")}\r\n\r\n${body}`;
const post = (target: string, body: string, ...headers: string[]) =>
  request(`POST ${target} HTTP/1.1`, [`Content-Length: ${body.length}`, ...headers], body);
const json = "Content-Type: application/json";
const publish = (body: string, ...headers: string[]) => post("/publish", body, json, ...headers);
/** A publish whose head says of its length what it likes. */
const framed = (body: string, ...headers: string[]) => request("POST /publish HTTP/1.1", [json, ...headers], body);
const lines = (body: string) => post("/publish", body, "Content-Type: application/x-ndjson");
const chunked = "Transfer-Encoding: chunked";
const oneChunk = '8\r\n{"data":\r\n2\r\n1}\r\n0\r\n\r\n';

const targets: HostileRequest[] = [
  { what: "percent-encoding that is cut", send: get("/events?channel=a%"), status: 400 },
  { what: "percent-encoding that is no hexadecimal", send: get("/events?channel=%zz"), status: 400 },
  { what: "an overlong encoding of a slash", send: get("/events?channel=%c0%af"), status: 400 },
  { what: "an encoded surrogate", send: get("/events?channel=%ed%a0%80"), status: 400 },
  { what: "bytes that are no UTF-8", send: get("/events?channel=\xff\xfe"), status: 400 },
  { what: "NUL in a channel", send: get("/events?channel=a%00b"), status: 400 },
  { what: "a field in a channel", send: get("/events?channel=a%0d%0adata:%20x"), status: 400 },
  { what: "a broken name of a parameter", send: get("/events?%ff=1"), status: 400 },
  { what: "a parameter called __proto__", send: get("/events?__proto__=1"), status: 400 },
  { what: "a parameter twice", send: get("/events?rewind=1&rewind=all"), status: 400 },
  { what: "a rewind beyond all numbers", send: get(`/events?rewind=${"9".repeat(400)}`), status: 400 },
  { what: "a thousand and one channels", send: get(`/events?${"channel=a&".repeat(1001)}`), status: 400 },
  { what: "an overlong channel", send: get(`/events?channel=${"x".repeat(300)}`), status: 400 },
  { what: "somebody's personal channel", send: get("/events?channel=@user/ann"), status: 400 },
  { what: "a star in the middle", send: get("/events?channel=a*b"), status: 400 },
  { what: "absolute form with a wrong query", send: get("http://localhost/events?a=b"), status: 400 },
  { what: "absolute form for another host", send: get("http://evil.example/events"), status: 403 },
  { what: "a target without a slash", send: get("events"), status: 400 },
  { what: "a target with a space", send: get("/events?channel=a b"), status: 400 },
  { what: "a way up", send: request("DELETE /connections/../../x HTTP/1.1", []), status: 404 },
  { what: "a connection that is a broken code", send: request("DELETE /connections/%e0%80 HTTP/1.1", []), status: 400 },
];

const heads: HostileRequest[] = [
  { what: "HTTP/0.9", send: "GET /events\r\n\r\n", status: 400 },
  { what: "HTTP/0.9 that says so", send: "GET /events HTTP/0.9\r\nHost: localhost\r\n\r\n", status: 400 },
  { what: "HTTP/2.0 in the words of 1.1", send: "GET /events HTTP/2.0\r\nHost: localhost\r\n\r\n", status: 400 },
  { what: "a version from the future", send: "GET /events HTTP/7.3\r\nHost: localhost\r\n\r\n", status: 400 },
  { what: "no host", send: "GET /events HTTP/1.1\r\n\r\n", status: 400, bare: true },
  { what: "two hosts", send: get("/events", "Host: localhost"), status: 400 },
  { what: "another host", send: "GET /events HTTP/1.1\r\nHost: evil.example\r\n\r\n", status: 403 },
  { what: "an empty host", send: "GET /events HTTP/1.1\r\nHost:\r\n\r\n", status: 403 },
  { what: "a header without a colon", send: get("/events", "nonsense"), status: 400 },
  { what: "a space before the colon", send: get("/events", "X-A : b"), status: 400 },
  { what: "a folded header", send: get("/events", "X-A: b\r\n c"), status: 400 },
  { what: "a lone CR in a header", send: get("/events", "X-A: b\rc"), status: 400 },
  { what: "a lone CR before a header", send: get("/events", "X-A: b\rX-B: c"), status: 400 },
  { what: "NUL in a header", send: get("/events", "X-A: b\0c"), status: 400 },
  { what: "a name that is no token", send: get("/events", "X(A): b"), status: 400 },
  { what: "a control character in a header", send: get("/events", "X-A: \x01"), status: 400 },
  { what: "an overlong header", send: get("/events", `X-A: ${"b".repeat(20_000)}`), status: 431 },
  { what: "an overlong target", send: get(`/events?channel=${"b".repeat(20_000)}`), status: 431 },
  { what: "too many headers", send: get("/events", ...Array(5000).fill("X-A: b")), status: 431 },
  { what: "an unknown method", send: request("FOO /events HTTP/1.1", []), status: 400 },
  { what: "a method in lower case", send: request("get /events HTTP/1.1", []), status: 400 },
  { what: "a method of HTTP that has no use here", send: request("TRACE /events HTTP/1.1", []), status: 405 },
  { what: "a method of WebDAV", send: request("PROPFIND /connections HTTP/1.1", []), status: 405 },
  { what: "a tunnel", send: "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", status: 0 },
  { what: "an expectation that is none", send: get("/events", "Expect: wonders"), status: 417, bare: true },
  { what: "bytes at random", send: "\x00\x01\xff\xfe\r\n\r\n", status: 400 },
  { what: "half of a preface of HTTP/2", send: "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", status: 400 },
  { what: "an answer", send: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 400 },
];

const lengths: HostileRequest[] = [
  { what: "GET with a body", send: request("GET /events HTTP/1.1", ["Content-Length: 5"], "hello"), status: 400 },
  { what: "GET with chunks", send: request("GET /events HTTP/1.1", [chunked], oneChunk), status: 400 },
  { what: "GET that promises a body", send: get("/events", "Content-Length: 999999999"), status: 400 },
  {
    what: "DELETE with a body",
    send: request("DELETE /connections/x HTTP/1.1", ["Content-Length: 1"], "x"),
    status: 400,
  },
  { what: "no length and no body", send: framed(""), status: 400 },
  { what: "a negative length", send: framed('{"data":1}', "Content-Length: -10"), status: 400 },
  { what: "a length with a sign", send: framed('{"data":1}', "Content-Length: +10"), status: 400 },
  { what: "a hexadecimal length", send: framed('{"data":1}', "Content-Length: 0xa"), status: 400 },
  { what: "a list of lengths", send: framed('{"data":1}', "Content-Length: 10, 10"), status: 400 },
  { what: "two lengths", send: framed('{"data":1}', "Content-Length: 10", "Content-Length: 11"), status: 400 },
  { what: "a length beyond all numbers", send: framed("", `Content-Length: ${"9".repeat(30)}`), status: 400 },
  { what: "a body too large to be read", send: framed("{", "Content-Length: 99999999"), status: 413 },
  { what: "a body that ends early", send: framed('{"data":1}', "Content-Length: 11"), status: 400, ends: true },
  { what: "a body that goes on", send: framed('{"data" 1}, {"data":2}', "Content-Length: 10"), status: 400 },
  { what: "a length and chunks", send: framed(oneChunk, "Content-Length: 10", chunked), status: 400 },
  { what: "chunks and a length", send: framed(oneChunk, chunked, "Content-Length: 10"), status: 400 },
  { what: "an unknown coding", send: framed(oneChunk, "Transfer-Encoding: xchunked"), status: 400 },
  { what: "chunks that are not last", send: framed(oneChunk, "Transfer-Encoding: chunked, gzip"), status: 400 },
  { what: "a coding that hides behind a tab", send: framed(oneChunk, "Transfer-Encoding:\x0bchunked"), status: 400 },
  { what: "a chunk without a size", send: framed("zz\r\n{}\r\n0\r\n\r\n", chunked), status: 400 },
  { what: "a chunk beyond all numbers", send: framed(`${"f".repeat(17)}\r\n{}\r\n0\r\n\r\n`, chunked), status: 400 },
  { what: "a chunk longer than its size", send: framed('2\r\n{"data":1}\r\n0\r\n\r\n', chunked), status: 400 },
  {
    what: "a chunk with much to say about itself",
    send: framed(`2;${"x".repeat(20_000)}\r\n{}\r\n`, chunked),
    status: 400,
  },
];

const bodies: HostileRequest[] = [
  { what: "no content type", send: post("/publish", '{"data":1}'), status: 415 },
  { what: "the content type of a form", send: post("/publish", "data=1", "Content-Type: text/plain"), status: 415 },
  { what: "a compressed body", send: publish("\x1f\x8b\x08", "Content-Encoding: gzip"), status: 415 },
  { what: "a page of another site", send: publish('{"data":1}', "Origin: https://evil.example"), status: 403 },
  { what: "a page of no site", send: publish('{"data":1}', "Origin: null"), status: 403 },
  { what: "a body that is no UTF-8", send: publish('{"data":"\xff"}'), status: 400 },
  { what: "a body in UTF-16", send: publish('\xff\xfe{\0"\0d\0'), status: 400 },
  { what: "an overlong NUL", send: publish('{"data":"\xc0\x80"}'), status: 400 },
  { what: "no JSON", send: publish("{data:1}"), status: 400 },
  { what: "JSON and more", send: publish('{"data":1}{"data":2}'), status: 400 },
  { what: "a number that is none", send: publish('{"data":NaN}'), status: 400 },
  { what: "a deep array", send: publish(`${"[".repeat(100_000)}${"]".repeat(100_000)}`), status: 400 },
  { what: "deep data", send: publish(`{"data":${"[".repeat(100_000)}${"]".repeat(100_000)}}`), status: 400 },
  { what: "a deep selection", send: post("/events", `${'{"channels":['.repeat(10_000)}`, json), status: 400 },
  { what: "a member called __proto__", send: publish('{"data":1,"__proto__":{"channel":"x"}}'), status: 400 },
  { what: "a member called constructor", send: publish('{"data":1,"constructor":{"prototype":{}}}'), status: 400 },
  {
    what: "a selection called __proto__",
    send: post("/events", '{"__proto__":{"channels":["x"]}}', json),
    status: 400,
  },
  { what: "a list that is none", send: post("/events", '{"channels":{"length":1000000000}}', json), status: 400 },
  { what: "an id of its own", send: publish('{"data":1,"id":"x-1"}'), status: 400 },
  { what: "a field in the event", send: publish('{"data":1,"event":"a\\ndata: forged"}'), status: 400 },
  { what: "a lone CR in the event", send: publish('{"data":1,"event":"a\\rdata: forged"}'), status: 400 },
  { what: "NUL in the event", send: publish('{"data":1,"event":"a\\u0000"}'), status: 400 },
  { what: "half a character in the event", send: publish('{"data":1,"event":"\\ud800"}'), status: 400 },
  { what: "a field in the channel", send: publish('{"data":1,"channel":"a\\n\\ndata: forged"}'), status: 400 },
  { what: "half a character in the channel", send: publish('{"data":1,"channel":"\\udc00"}'), status: 400 },
  { what: "a field in the key", send: publish('{"data":1,"key":"a\\r\\n"}'), status: 400 },
  { what: "a field in the retry", send: publish('{"data":1,"retry":"1\\ndata: forged"}'), status: 400 },
  { what: "a retry beyond all numbers", send: publish('{"data":1,"retry":1e400}'), status: 400 },
  { what: "an event of the hub's own", send: publish('{"data":1,"event":"millrace.close"}'), status: 400 },
  {
    what: "one wrong event among many",
    send: publish(`[${'{"data":1},'.repeat(20_000)}{"data":1,"event":7}]`),
    status: 400,
  },
  { what: "one wrong line among many", send: lines(`${'{"data":1}\n'.repeat(20_000)}{"data":`), status: 400 },
  {
    what: "an overlong idempotency key",
    send: publish('{"data":1}', `Idempotency-Key: ${"x".repeat(257)}`),
    status: 400,
  },
  { what: "an empty idempotency key", send: publish('{"data":1}', "Idempotency-Key:"), status: 400 },
];

export const hostileRequests: readonly HostileRequest[] = [...targets, ...heads, ...lengths, ...bodies];
