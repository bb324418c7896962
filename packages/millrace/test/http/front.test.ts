import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hostileRequests } from "./hostile-requests.js";
import { connectRaw, deferred, type RawClient, until, within } from "./support/index.js";
import { heldBytes } from "./support/memory.js";
import { type Outcome, serve } from "./support/pair.js";

type Server = Awaited<ReturnType<typeof serve>>;
let front: Server;
let plain: Server;
beforeAll(async () => {
  [front, plain] = await Promise.all([serve(true), serve(false)]);
});
afterAll(() => Promise.all([front, plain].map((server) => server[Symbol.asyncDispose]())));

const head = (target = "/events", ...lines: string[]) =>
  `${[`GET ${target} HTTP/1.1`, "Host: localhost", ...lines].join("\r\n")}\r\n\r\n`;

/** What both answer; and whether the front took it. */
async function both(...pieces: string[]): Promise<{ outcome: Outcome; taken: boolean }> {
  const before = front.taken();
  const [outcome, expected] = await Promise.all([front.ask(...pieces), plain.ask(...pieces)]);
  expect(outcome).toEqual(expected);
  return { outcome, taken: front.taken() > before };
}

const seed = Number(process.env.MILLRACE_SEED ?? Date.now() % 2 ** 31);
const runs = (count: number) => ({ seed, numRuns: process.env.MILLRACE_LONG ? count * 20 : count });

describe("a plain GET /events is answered as behind node:http", () => {
  test.each([
    ["/events", 200],
    ["/events?", 200],
    ["/events?channel=news&channel=chat/*&rewind=all", 200],
    ["/events?channel=caf%C3%A9+%2F&format=envelope&lastEventId=x-1", 200],
    ["/events?channel=a%zz", 400],
    ["/events?chanel=a", 400],
    ["/events?rewind=-1", 400],
  ])("%s: %i", async (target, status) => {
    const { outcome, taken } = await both(head(target));
    expect([outcome.status, taken]).toEqual([status, true]);
  });

  test.each([
    ["a cursor", 200, ["Last-Event-ID: 0000-7"]],
    ["a cursor in UTF-8", 200, ["Last-Event-ID: caf\xc3\xa9"]],
    ["bytes that are no UTF-8", 200, ["Last-Event-ID: \xff\xfe"]],
    ["the id that says not to come back", 204, ["Last-Event-ID: millrace.closed"]],
    ["a user", 200, ["X-User: ann", "Cookie: a=b; c=d", "Connection: keep-alive"]],
    ["no credentials", 401, ["X-User: nobody", "Connection: close"]],
    ["wrong credentials", 403, ["X-User: mallory"]],
    ["spaces around a value", 200, ["X-User:   ann  "]],
    ["no space, no value", 200, ["X-Empty:", "X-User:ann"]],
    ["names of objects", 200, ["constructor: x", "hasOwnProperty: y", "X-User: ann"]],
    ["a page of an allowed origin", 200, ["Origin: https://app.example"]],
    ["a page of another origin", 200, ["Origin: https://evil.example"]],
    ["a proxy that says for whom", 200, ["X-Forwarded-For: 10.0.0.1, ::ffff:10.0.0.2"]],
  ])("%s: %i", async (_what, status, lines) => {
    const { outcome, taken } = await both(head("/events", ...lines));
    expect([outcome.status, taken]).toEqual([status, true]);
  });

  test("the rest is node:http's", async () => {
    const others = [
      ...[head().replaceAll("\r\n", "\n"), `\r\n${head()}`, head().replace("1.1", "1.0"), head().toLowerCase()],
      ...[head("/events?mode=poll"), head("http://localhost/events"), head("/events#x"), head("/events?channel=\xe9")],
      ...[head("/health"), head("/eventsx"), head("/events/"), head().replace("GET", "HEAD"), head("/events?a b")],
      ...[head("/events", "Host: localhost"), "GET /events HTTP/1.1\r\n\r\n", "GET /events HTTP/1.1\r\nA: b\r\n\r\n"],
      ...[
        "Content-Length: 0",
        "Content-Length: 1",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Upgrade: h2c",
      ].map((line) => head("/events", line)),
      ...[
        "Connection: upgrade",
        "Connection: close, x",
        "Proxy-Connection: close",
        "A: b\tc",
        "A: b\r\n c",
        "A : b",
      ].map((line) => head("/events", line)),
      ...["A: b\rc", "A: b\0", "A: \x7f", "(A): b", ": b", "A", "__proto__: b", "X-User: ann\r\nx-user: eve"].map(
        (line) => head("/events", line),
      ),
      ...[
        head(
          "/events",
          ...Array(200)
            .fill("A: b")
            .map((line, at) => `${at}${line}`),
        ),
        `${head()}\r\n`,
        head() + head(),
      ],
      ...[head("/events", `A: ${"b".repeat(16_400)}`), head(`/events?channel=${"b".repeat(17_000)}`)],
    ];
    for (const other of others)
      expect([other.slice(0, 300), (await both(other)).taken]).toEqual([other.slice(0, 300), false]);
  });

  test("the largest head that both take", async () => {
    const longest = (more: number) =>
      head("/events", `A: ${"b".repeat(16 * 1024 - head("/events", "A: ").length - more)}`);
    expect((await both(longest(1))).taken).toBe(true);
    expect((await both(longest(0))).taken).toBe(false);
  });

  test("whatever is said of hostile requests", async () => {
    for (const { send, ends } of hostileRequests) if (!ends) await both(send);
  });

  test("cut anywhere", async () => {
    const whole = head("/events?channel=a", "X-User: ann");
    for (let at = 1; at < whole.length; at++) {
      expect((await both(whole.slice(0, at), whole.slice(at))).outcome.status).toBe(200);
    }
  });
});

const json = "Content-Type: application/json";
const lines = "Content-Type: application/x-ndjson";
const one = '{"data":"one"}';
/** A publish, of which `heads` says the length unless it is said here. */
const post = (
  body = one,
  heads: readonly string[] = [json],
  length: string | number = Buffer.byteLength(body, "latin1"),
) =>
  `${["POST /publish HTTP/1.1", "Host: localhost", ...heads, ...(length === "" ? [] : [`Content-Length: ${length}`])].join("\r\n")}\r\n\r\n${body}`;

describe("a plain POST /publish is answered as behind node:http", () => {
  test.each([
    ["one event", 200, post()],
    ["several", 200, post(`[${one},${one}]`)],
    ["lines", 200, post(`${one}\n${one}\n`, [lines])],
    ["a type with parameters", 200, post(one, ["Content-Type: Application/JSON; charset=utf-8"])],
    ["names in UTF-8", 200, post('{"data":"caf\xc3\xa9","channel":"caf\xc3\xa9"}')],
    ["a user", 200, post(one, [json, "X-User: ann", "Cookie: a=b"])],
    ["a key in UTF-8", 200, post(one, [json, "Idempotency-Key: caf\xc3\xa9"])],
    ["the last on its connection", 200, post(one, [json, "Connection: close"])],
    ["one that keeps its connection", 200, post(one, [json, "Connection: Keep-Alive"])],
    ["a page of an allowed origin", 200, post(one, [json, "Origin: https://app.example"])],
    ["a page of another origin", 403, post(one, [json, "Origin: https://evil.example"])],
    ["wrong credentials", 403, post(one, [json, "X-User: mallory"])],
    ["no credentials", 401, post(one, [json, "X-User: nobody"])],
    ["no body", 400, post("")],
    ["no JSON", 400, post("{")],
    ["no UTF-8", 400, post('{"data":"\xff"}')],
    ["no type", 415, post(one, [])],
    ["another type", 415, post(one, ["Content-Type: text/plain"])],
    ["a compressed body", 415, post(one, [json, "Content-Encoding: gzip"])],
    ["a key that is too long", 400, post(one, [json, `Idempotency-Key: ${"x".repeat(300)}`])],
    ["a body that is too large", 413, post("{", [json], 99_999_999)],
    ["a body that does not come", 408, post("{", [json], 99)],
  ])("%s: %i", async (_what, status, text) => {
    const { outcome, taken } = await both(text);
    expect([outcome.status, taken]).toEqual([status, true]);
  });

  test("the rest is node:http's", async () => {
    const length = "Content-Length: 14";
    const others = [
      ...["+14", "014", "14, 14", "0x0e", "1e1", "-14", "14.0", "9".repeat(16), "9".repeat(40), "14\t", "", "a"].map(
        (said) => post(one, [json, `Content-Length: ${said}`], ""),
      ),
      ...[post(one, [json], ""), post(one, [json, length]), post(one, [json, "content-length: 15"])],
      ...["Transfer-Encoding: chunked", "Expect: 100-continue", "Upgrade: h2c", "Trailer: a", "Host: localhost"].map(
        (line) => post(one, [json, line]),
      ),
      ...[
        "Connection: upgrade",
        "Connection: close, x",
        "A: b\tc",
        "A: b\r\n c",
        "A : b",
        `A: ${"b".repeat(16_400)}`,
      ].map((line) => post(one, [json, line])),
      ...["/publish?a", "/publish/", "http://localhost/publish", "/Publish", "/publish#a", "*"].map((target) =>
        post().replace("/publish", target),
      ),
      ...["PUT", "post", "GET", "OPTIONS", "POSTS"].map((method) => post().replace("POST", method)),
      ...[post().replace("1.1", "1.0"), post().replaceAll("\r\n", "\n"), `\r\n${post()}`],
      ...[post(one, [json, json]), post().replace("\r\nHost: localhost", "")],
    ];
    for (const other of others)
      expect([other.slice(0, 300), (await both(other)).taken]).toEqual([other.slice(0, 300), false]);
  });

  test("one with anything behind it", async () => {
    for (const behind of ["x", "\r\n", post(), head("/health"), "\0"]) {
      const before = front.taken();
      await Promise.all([front, plain].map((server) => server.ask(post() + behind)));
      expect(front.taken()).toBe(before);
    }
  });

  test("cut anywhere", async () => {
    const whole = post(one, [json, "X-User: ann"]);
    for (let at = 1; at < whole.length; at++) {
      expect((await both(whole.slice(0, at), whole.slice(at))).outcome.status).toBe(200);
    }
  });
});

const oneOf = (...values: string[]) => fc.constantFrom(...values);
const latin1 = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const printable = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 20,
});
const value = fc.oneof(
  { weight: 4, arbitrary: oneOf("ann", "nobody", "mallory", "millrace.closed", "x-1", "close", "keep-alive", "0", "") },
  { weight: 3, arbitrary: printable },
  {
    weight: 1,
    arbitrary: oneOf("upgrade", "chunked", "100-continue", "https://app.example", "a,b", "10.0.0.9, 127.0.0.1"),
  },
  { weight: 1, arbitrary: fc.string({ unit: latin1, maxLength: 8 }) },
);
const name = fc.oneof(
  {
    weight: 5,
    arbitrary: oneOf("X-User", "Last-Event-ID", "Origin", "Accept", "User-Agent", "Cookie", "X-Forwarded-For"),
  },
  { weight: 2, arbitrary: oneOf("Connection", "Host", "Authorization", "Cache-Control", "If-None-Match", "__proto__") },
  {
    weight: 1,
    arbitrary: oneOf("Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Proxy-Connection"),
  },
  { weight: 1, arbitrary: fc.string({ unit: latin1, maxLength: 4 }) },
);
const target = fc.oneof(
  {
    weight: 6,
    arbitrary: oneOf(
      "/events",
      "/events?channel=a",
      "/events?channel=a&channel=b/*&rewind=2",
      "/events?format=envelope",
    ),
  },
  { weight: 2, arbitrary: printable.map((text) => `/events?${text}`) },
  {
    weight: 1,
    arbitrary: oneOf("/health", "/", "*", "http://a/events", "/events?mode=poll", "/EVENTS", "/events;a", "/%65vents"),
  },
  { weight: 1, arbitrary: fc.string({ unit: latin1, maxLength: 6 }).map((text) => `/events?channel=${text}`) },
);
const lineEnd = fc.oneof(
  { weight: 30, arbitrary: fc.constant("\r\n") },
  { weight: 1, arbitrary: oneOf("\n", "\r", "\r\r\n", "\r\n ", "\t\r\n") },
);
const request = fc
  .record({
    method: fc.oneof(
      { weight: 12, arbitrary: fc.constant("GET") },
      { weight: 1, arbitrary: oneOf("HEAD", "get", "POST", "OPTIONS", "G") },
    ),
    target,
    version: fc.oneof(
      { weight: 12, arbitrary: fc.constant("HTTP/1.1") },
      { weight: 1, arbitrary: oneOf("HTTP/1.0", "HTTP/2.0", "http/1.1", "HTTP/1.1 ") },
    ),
    host: fc.oneof(
      { weight: 12, arbitrary: fc.constant(["Host: localhost"]) },
      { weight: 1, arbitrary: fc.constant<string[]>([]) },
    ),
    headers: fc.array(
      fc.tuple(name, oneOf(": ", ":", ":  ", " :", ":\t"), value).map((parts) => parts.join("")),
      { maxLength: 6 },
    ),
    ends: fc.array(lineEnd, { minLength: 10, maxLength: 10 }),
    behind: fc.oneof(
      { weight: 12, arbitrary: fc.constant("") },
      { weight: 1, arbitrary: oneOf("\r\n", "x", head("/health")) },
    ),
  })
  .map(({ method, target, version, host, headers, ends, behind }) => {
    const lines = [`${method} ${target} ${version}`, ...host, ...headers, ""];
    return lines.map((line, at) => line + ends[at]).join("") + behind;
  });
/** The same of publishes. What is behind one that came in pieces may be answered before it by node:http: see below. */
const publishOf = (surplus: boolean) =>
  fc
    .record({
      target: fc.oneof(
        { weight: 12, arbitrary: fc.constant("/publish") },
        { weight: 1, arbitrary: oneOf("/publish?a=b", "/publish/", "http://a/publish", "/publis", "/%70ublish") },
      ),
      version: fc.oneof(
        { weight: 16, arbitrary: fc.constant("HTTP/1.1") },
        { weight: 1, arbitrary: oneOf("HTTP/1.0", "HTTP/1.2", "HTTP/1.1 ") },
      ),
      type: fc.oneof(
        { weight: 12, arbitrary: oneOf(json, lines, "content-type:application/json;charset=utf-8") },
        { weight: 1, arbitrary: oneOf("Content-Type: text/plain", "Content-Encoding: gzip", "X-Type: none") },
      ),
      headers: fc.array(
        fc
          .tuple(
            fc.oneof(
              { weight: 6, arbitrary: name },
              { weight: 1, arbitrary: oneOf("Idempotency-Key", "Content-Encoding") },
            ),
            oneOf(": ", ":", ":  ", " :"),
            value,
          )
          .map((parts) => parts.join("")),
        { maxLength: 3 },
      ),
      body: fc.oneof(
        {
          weight: 5,
          arbitrary: oneOf(one, `[${one},${one}]`, `${one}\n${one}`, '{"data":{"a":[1]},"channel":"b","event":"c"}'),
        },
        { weight: 1, arbitrary: printable },
        { weight: 1, arbitrary: fc.string({ unit: latin1, maxLength: 20 }) },
      ),
      said: fc.oneof(
        { weight: 12, arbitrary: fc.constant((bytes: number) => String(bytes)) },
        { weight: 1, arbitrary: oneOf("+", "0", " ", "-", "\t").map((before) => (bytes: number) => before + bytes) },
        { weight: 1, arbitrary: oneOf(" ", ", 1", ".0", "e0", "\t").map((after) => (bytes: number) => bytes + after) },
        {
          weight: surplus ? 1 : 0,
          arbitrary: fc
            .integer({ min: -3, max: 1 })
            .map((more) => (bytes: number) => String(Math.max(0, bytes + more))),
        },
      ),
      ends: fc.array(lineEnd, { minLength: 8, maxLength: 8 }),
      behind: fc.oneof(
        { weight: 12, arbitrary: fc.constant("") },
        { weight: surplus ? 1 : 0, arbitrary: oneOf("\r\n", "x", head("/health"), post()) },
      ),
    })
    .map(({ target, version, type, headers, body, said, ends, behind }) => {
      const length = `Content-Length: ${said(body.length)}`;
      const texts = [`POST ${target} ${version}`, "Host: localhost", type, ...headers, length, ""];
      const endOf = (at: number) => (!surplus && at === texts.length - 1 ? "\r\n" : ends[at]);
      return texts.map((line, at) => line + endOf(at)).join("") + body + behind;
    });
/** Some bytes of it changed, gone, or too many. */
const mutated = fc
  .tuple(
    fc.oneof(request, publishOf(true)),
    fc.array(fc.tuple(fc.nat(), latin1, oneOf("put", "add", "drop")), { maxLength: 2 }),
  )
  .map(([text, changes]) =>
    changes.reduce((now, [where, byte, how]) => {
      const at = where % (now.length + 1);
      return now.slice(0, at) + (how === "drop" ? "" : byte) + now.slice(how === "add" ? at : at + 1);
    }, text),
  );

describe(`random heads, seed ${seed}`, () => {
  test("are answered alike, and mean the same to the application", { timeout: 600_000 }, async () => {
    const before = front.taken();
    await fc.assert(
      fc.asyncProperty(fc.oneof(request, publishOf(true), mutated), async (text) => void (await both(text))),
      runs(500),
    );
    expect(front.taken() - before).toBeGreaterThan(20);
  });

  // Not publishes with more behind them: node:http answers what comes next first, when that is broken.
  test("cut into pieces", { timeout: 600_000 }, async () => {
    const cuts = fc.array(fc.nat(), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(request, publishOf(false)), cuts, async (text, places) => {
        const at = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
        const pieces = [0, ...at].map((start, index) => text.slice(start, at[index])).filter((piece) => piece !== "");
        await both(...pieces);
      }),
      runs(150),
    );
  });
});

describe("a stream of the front", () => {
  const opened = async (server: Server, ...lines: string[]): Promise<RawClient> => {
    const peer = await connectRaw(server.port);
    peer.send(head("/events", ...lines));
    await peer.hears("\nid: ");
    return peer;
  };
  const nobodyLeft = () => until("nobody is left", () => front.hub.stats().connections === 0);

  test("brings what is published", async () => {
    const peer = await opened(front);
    await front.hub.publish({ data: "one" });
    await peer.hears("data: one\n\n");
    peer.socket.destroy();
    await nobodyLeft();
  });

  test("ends when its client half-closes, and when it resets", async () => {
    const half = await opened(front);
    half.socket.end();
    await within("the end", half.closed);
    const reset = await opened(front);
    reset.socket.resetAndDestroy();
    await nobodyLeft();
  });

  test("is cut by a request behind it, but not by blank lines", async () => {
    const peer = await opened(front);
    peer.send("\r\n\r\n");
    await front.hub.publish({ data: "still there" });
    await peer.hears("data: still there\n\n");
    peer.send(head("/health"));
    await within("the end", peer.closed);
    expect(peer.heard()).not.toContain('"ok"');
    await nobodyLeft();
  });

  test("is not opened for a client that leaves while it is asked about", async () => {
    const asked = deferred<object>();
    let calls = 0;
    await using slow = await serve(true, {
      authorize: () => {
        calls++;
        return asked.promise;
      },
    });
    const leaving = [(peer: RawClient) => peer.socket.end(), (peer: RawClient) => peer.socket.resetAndDestroy()];
    for (const leave of leaving) {
      const before = calls;
      const peer = await connectRaw(slow.port, { allowHalfOpen: true });
      peer.send(head());
      await until("it is asked about", () => calls > before);
      leave(peer);
      await within("the end", peer.closed);
    }
    asked.resolve({});
    await new Promise((resolve) => setImmediate(resolve));
    expect(slow.hub.stats().opened).toBe(0);
  });

  test("an answer that is no stream ends the connection", async () => {
    const peer = await connectRaw(front.port);
    peer.send(head("/events", "X-User: nobody"));
    await within("the end", peer.closed);
    expect(peer.heard()).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n.*\r\nConnection: close\r\n/s);
  });

  test("an error inside is answered 500, and told", async () => {
    const errors: unknown[] = [];
    await using broken = await serve(true, {
      onError: (error) => errors.push(error),
      authorize: () => {
        throw new Error("a mistake");
      },
    });
    expect(await broken.ask(head())).toMatchObject({ status: 500 });
    expect(errors).toEqual([new Error("a mistake")]);
  });

  test("is ended by the listener's close", async () => {
    await using server = await serve(true);
    const peer = await opened(server);
    await server[Symbol.asyncDispose]();
    await within("the end", peer.closed);
  });

  test("keeps nothing of its head", async () => {
    const count = 300;
    const large = `X-Large: ${"x".repeat(15_000)}`;
    const warm = await Promise.all(Array.from({ length: 20 }, (_, at) => opened(front, `X-User: warm-${at}`, large)));
    const before = heldBytes();
    const peers: RawClient[] = [];
    for (let at = 0; at < count; at++) peers.push(await opened(front, `X-User: a-rather-long-name-${at}`, large));
    // The client's side, in the same process, is most of it.
    expect((heldBytes() - before) / count).toBeLessThan(12_000);
    for (const { socket } of [...warm, ...peers]) socket.destroy();
    await nobodyLeft();
  });
});
