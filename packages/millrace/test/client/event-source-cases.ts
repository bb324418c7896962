import type { ScriptedAnswer, ScriptedResponse } from "../../src/testing/index.js";
import type { Script } from "./support/observe.js";

/**
 * What an EventSource must do, as the standard has it (WHATWG HTML, "Server-sent events"). The same table is held against
 * the browser's own EventSource and against ours, in a browser and in Node.
 */
export interface Case {
  name: string;
  /** To the requests for the stream's path, in their order; after the last, 204. */
  answers: readonly ScriptedAnswer[];
  /** Beside `open`, `message` and `error`. */
  types?: readonly string[];
  /** No listeners of the harness: the script makes its own. */
  silent?: boolean;
  withCredentials?: boolean;
  script?: Script;
  /** What is seen, in its order. */
  log: readonly string[];
  /** `Last-Event-ID` of each request, as bytes in Latin-1. Default: not looked at. */
  lastEventIds?: readonly (string | undefined)[];
  /** Messages of errors that handlers throw: reported, and no more. */
  throws?: readonly string[];
  /** What Chromium does instead, and why ours does not. */
  chromium?: { log: readonly string[]; because: string };
}

const end = ["error (0)", "error (2)"]; // the stream ends, and the reconnection gets 204
const stream = (...body: NonNullable<ScriptedResponse["body"]>): ScriptedAnswer[] => [
  { body: ["retry: 1\n", ...body] },
];
const seen = (...messages: string[]) => ["open (1)", ...messages, ...end];
/** A case of the format alone: one stream. */
const format = (
  name: string,
  body: NonNullable<ScriptedResponse["body"]>,
  messages: string[],
  types: string[] = [],
): Case => ({
  name,
  answers: stream(...body),
  types,
  log: seen(...messages),
});
const bytes = (...values: number[]) => Uint8Array.from(values);
const letters = (text: string) => [...new TextEncoder().encode(text)].map((byte) => bytes(byte));

const contentType = (type: string): Pick<Case, "name" | "answers"> => ({
  name: `content-type ${JSON.stringify(type)}`,
  answers: [{ headers: { "content-type": type }, body: ["retry: 1\ndata: a\n\n"] }],
});

export const cases: Case[] = [
  // The format
  format("one line in one chunk", ["data: a\n\n"], ['message "a" # (1)']),
  format("one line in two chunks", ["data: Hel", "lo\n\n"], ['message "Hello" # (1)']),
  format("two events in one chunk", ["data: a\n\ndata: b\n\n"], ['message "a" # (1)', 'message "b" # (1)']),
  format("two lines", ["data: a\ndata:b\n\n"], ['message "a\\nb" # (1)']),
  format(
    "empty data",
    ["data:\n\n", "data\n\n", "data\ndata\n\n"],
    ['message "" # (1)', 'message "" # (1)', 'message "\\n" # (1)'],
  ),
  format("no data", ["event: x\n\nid: 1\n\n: c\n\n\n\ndata: a\n\n"], ['message "a" #1 (1)'], ["x"]),
  format(
    "types",
    ["event: x\ndata: a\n\nevent:\ndata: b\n\ndata: c\nevent:  y\n\n"],
    ['x "a" # (1)', 'message "b" # (1)', ' y "c" # (1)'],
    ["x", "y", " y"],
  ),
  format(
    "ids",
    ["id: 1\ndata: a\n\ndata: b\n\nid:\ndata: c\n\ndata: d\nid: é€😀\nevent: x\n\n"],
    ['message "a" #1 (1)', 'message "b" #1 (1)', 'message "c" # (1)', 'x "d" #é€😀 (1)'],
    ["x"],
  ),
  format("an id with NUL", ["id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n"], ['message "a" #1 (1)', 'message "b" #1 (1)']),
  format(
    "unknown fields, comments, spaces",
    [":c\ncolor: red\nData: x\n data: x\ndata:  a\ndata : x\n: c\n\n"],
    ['message " a" # (1)'],
  ),
  format(
    "names of events of its own",
    ["event: open\ndata: a\n\nevent: error\ndata: b\n\n"],
    ['open "a" # (1)', 'error "b" # (1)'],
  ),
  format("characters of many bytes", ["data: €豆腐😀\n\n"], ['message "€豆腐😀" # (1)']),
  format("the same byte by byte", letters("data: €豆腐😀\n\n"), ['message "€豆腐😀" # (1)']),
  format(
    "bytes that are no UTF-8",
    [bytes(0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0xe2, 0x82, 0x0a, 0x0a)],
    ['message "\ufffd\ufffd" # (1)'],
  ),
  format(
    "many in a row",
    [Array.from({ length: 100 }, (_, i) => `data: ${i}\n\n`).join("")],
    [...Array.from({ length: 100 }, (_, i) => `message "${i}" # (1)`)],
  ),
  format("an unfinished block", ["data: a\n\ndata: b\n"], ['message "a" # (1)']),
  ...["\n", "\r\n", "\r"].flatMap((lineEnd) => {
    const text = "data:1\n\ndata: 2\ndata: 3\n\n\n\ndata:\ndata:4\ndata:\ndata:5\n\n".replaceAll("\n", lineEnd);
    const messages = ['message "1" # (1)', 'message "2\\n3" # (1)', 'message "\\n4\\n\\n5" # (1)'];
    const name = JSON.stringify(lineEnd);
    return [
      format(`line ends ${name}`, [text], messages),
      format(`line ends ${name}, byte by byte`, letters(text), messages),
      format(`line ends ${name}, two bytes a time`, text.match(/.{1,2}/gs) ?? [], messages),
    ];
  }),
  format(
    "CRLF cut between",
    ["data: a\r", "\ndata: b\r", "\n\r\ndata: c\r", "\n", "\r", "\n"],
    ['message "a\\nb" # (1)', 'message "c" # (1)'],
  ),
  {
    name: "a bare CR dispatches at once",
    answers: [{ body: ["data: a\r\r"], finish: "stall" }],
    log: ["open (1)", 'message "a" # (1)'],
  },
  ...[
    { name: "a byte order mark", body: ["\ufeffdata: a\n\n", "\ufeffdata: b\n\n"] },
    { name: "a byte order mark in pieces", body: [bytes(0xef), bytes(0xbb), bytes(0xbf), "data: a\n\n"] },
    { name: "a byte order mark before a comment", body: ["\ufeff: c\ndata: a\n\n"] },
  ].map(
    ({ name, body }): Case => ({ name, answers: [{ body, finish: "stall" }], log: ["open (1)", 'message "a" # (1)'] }),
  ),
  format("byte order marks later", ["data: a\ufeff\n\n\ufeffdata: b\n\n"], ['message "a\ufeff" # (1)']),
  ...[1, 1023, 1024, 1025, 4096, 8191, 16_384, 65_530, 65_536, 1 << 20].map((size): Case => {
    const data = "x".repeat(size);
    return format(`data of ${size} bytes`, [`data: ${data}\n\n`], [`message "${data}" # (1)`]);
  }),

  // Answers
  ...[204, 205, 400, 401, 404, 500, 503].map(
    (status): Case => ({
      name: `status ${status}`,
      answers: [{ status, body: status < 300 ? [] : ["data: a\n\n"] }],
      log: ["error (2)"],
    }),
  ),
  { name: "a redirect without an address", answers: [{ status: 302 }], log: ["error (2)"] },
  ...["text/event-stream", "Text/Event-STREAM", "text/event-stream;charset=utf-8", "text/event-stream ; x=y"].map(
    (type): Case => ({ ...contentType(type), log: seen('message "a" # (1)') }),
  ),
  ...["", "text/plain", "text/event-streams", "text/event-stream-x", "application/json; x=text/event-stream"].map(
    (type): Case => ({ ...contentType(type), log: ["error (2)"] }),
  ),
  {
    ...contentType("text/event-stream;charset=iso-8859-1"),
    log: seen('message "a" # (1)'),
    chromium: {
      log: ["error (2)"],
      because: "the standard looks at the type alone; the stream is UTF-8 whatever it says",
    },
  },

  // Coming back
  {
    name: "the stream breaks",
    // The pause: a body that breaks drops what has come with the break and was not read. Its id does not count, either.
    answers: [{ body: ["retry: 1\ndata: a\n\ndata: b\n", 50], finish: "cut" }, ...stream("data: c\n\n")],
    log: ["open (1)", 'message "a" # (1)', "error (0)", ...seen('message "c" # (1)')],
  },
  {
    name: "no answer, or no more than its head",
    answers: [...stream(), "cut", { finish: "cut" }, "cut", ...stream("data: a\n\n")],
    log: [
      ...["open (1)", "error (0)", "error (0)", "open (1)", "error (0)", "error (0)"],
      ...seen('message "a" # (1)'),
    ],
  },
  {
    name: "comes back with the last id, and keeps it",
    answers: [
      ...stream("data: a\n\n"),
      ...stream("id: é€\ndata: b\n\n"),
      ...stream("data: c\n\n"),
      ...stream("id: 7\n\n"),
      ...stream("id: 8\ndata: d\n"),
      ...stream("id\n\n"),
    ],
    log: [
      ...["open (1)", 'message "a" # (1)', "error (0)"],
      ...["open (1)", 'message "b" #é€ (1)', "error (0)"],
      // By the letter of the standard, each response begins with an empty id; no browser does that.
      ...["open (1)", 'message "c" #é€ (1)', "error (0)"],
      ...["open (1)", "error (0)", "open (1)", "error (0)", ...seen()],
    ],
    lastEventIds: [undefined, undefined, "\xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac", "7", "7", undefined],
  },
  {
    name: "an answer that ends it, after a stream",
    answers: [...stream("data: a\n\n"), { status: 500 }, ...stream("data: b\n\n")],
    log: seen('message "a" # (1)'),
  },
  {
    name: "retry of anything but digits is none",
    answers: stream("retry: 9x\nretry: -9\nretry: 1e9\nretry:\nretry: 9.9\n\n"),
    log: seen(),
  },

  // Handlers
  {
    name: "close in the midst of a chunk",
    answers: [{ body: ["data: a\n\ndata: b\n\ndata: c\n\n"], finish: "stall" }],
    script: (source) => source.addEventListener("message", (event) => event.data === "b" && source.close()),
    log: ["open (1)", 'message "a" # (1)', 'message "b" # (1)'],
  },
  {
    name: "close when it opens",
    answers: [{ body: ["data: a\n\n"] }],
    script: (source) => source.addEventListener("open", () => source.close()),
    log: ["open (1)"],
  },
  {
    name: "close at an error",
    answers: [...stream("data: a\n\n"), ...stream("data: b\n\n")],
    script: (source) => source.addEventListener("error", () => source.close()),
    log: ["open (1)", 'message "a" # (1)', "error (0)"],
  },
  {
    name: "close at once",
    answers: [{ body: ["data: a\n\n"] }],
    script: (source, note) => {
      note(`${source.readyState}`);
      source.close();
      source.close();
      note(`${source.readyState}`);
    },
    log: ["0", "2"],
  },
  {
    name: "what handlers throw stops neither others nor the stream",
    answers: stream("data: a\n\ndata: b\n\n"),
    silent: true,
    script: (source, note) => {
      source.onmessage = () => {
        throw new Error("from onmessage");
      };
      source.addEventListener("message", (event) => note(event.data));
      source.onopen = () => {
        note("open");
        throw new Error("from onopen");
      };
      source.onerror = () => {
        note(`error ${source.readyState}`);
        throw new Error("from onerror");
      };
    },
    log: ["open", "a", "b", "error 0", "error 2"],
    throws: ["from onopen", "from onmessage", "from onmessage", "from onerror", "from onerror"],
  },
  {
    name: "a handler attribute keeps its place, and loses it with null",
    answers: stream("data: a\n\n"),
    silent: true,
    script: (source, note) => {
      source.onmessage = () => note("replaced");
      source.addEventListener("message", () => note("first"));
      source.onmessage = () => note("attribute");
      source.onopen = () => note("given up");
      source.addEventListener("open", () => note("open"));
      source.onopen = null;
      source.onopen = () => note("open attribute");
    },
    log: ["open", "open attribute", "attribute", "first"],
  },
  {
    name: "what a handler attribute may be",
    answers: [{ body: ["data: a\n\n"], finish: "stall" }],
    silent: true,
    script: (source, note) => {
      note(`${source.onopen} ${source.onmessage} ${source.onerror}`);
      const odd = source as unknown as { onopen: unknown; onmessage: unknown; onerror: unknown };
      odd.onopen = 5;
      odd.onmessage = "text";
      note(`${odd.onopen} ${odd.onmessage}`);
      const object = { handleEvent: () => note("never") };
      odd.onmessage = object;
      note(`${odd.onmessage === object}`);
      odd.onopen = function (this: unknown, event: { target: unknown; currentTarget: unknown }) {
        note(`${this === source} ${event.target === source} ${event.currentTarget === source}`);
      };
      source.addEventListener("message", () => note("message"));
    },
    log: ["null null null", "null null", "true", "true true true", "message"],
  },
  {
    name: "microtasks run between events, and before the next listener is called they do not",
    answers: [{ body: ["data: a\n\ndata: b\n\n"], finish: "stall" }],
    silent: true,
    script: (source, note) => {
      source.addEventListener("message", (event) => {
        note(event.data);
        Promise.resolve().then(() => note(`after ${event.data}`));
      });
    },
    log: ["a", "after a", "b", "after b"],
  },
  {
    name: "listeners that come and go",
    answers: [{ body: ["data: a\n\ndata: b\n\n"], finish: "stall" }],
    silent: true,
    script: (source, note) => {
      const gone = () => note("never");
      source.addEventListener("message", gone);
      source.removeEventListener("message", gone);
      source.addEventListener("message", (event) => note(`once ${event.data}`), { once: true });
      source.addEventListener("message", (event) => note(event.data));
    },
    log: ["once a", "a", "b"],
  },
  {
    name: "what events are",
    answers: [{ body: ["id: 1\ndata: a\n\n"], finish: "stall" }],
    silent: true,
    script: (source, note) => {
      const facts = (event: Event & { source?: unknown; ports?: unknown[] }) =>
        [event.constructor.name, event.bubbles, event.cancelable, event.source, event.ports?.length].join();
      source.addEventListener("open", (event) => note(facts(event)));
      source.addEventListener("message", (event) => note(facts(event)));
    },
    log: ["Event,false,false,,", "MessageEvent,false,false,,0"],
  },
  {
    name: "what it is",
    answers: [{ finish: "stall" }],
    silent: true,
    withCredentials: true,
    script: (source, note) => {
      const type = source.constructor as unknown as { prototype: object } & Record<string, unknown>;
      const own = (name: string) => Object.getOwnPropertyDescriptor(type, name);
      note(`${type.CONNECTING} ${type.OPEN} ${type.CLOSED}`);
      note(`${JSON.stringify(own("CLOSED"))}`);
      const { CONNECTING, OPEN, CLOSED } = source as unknown as Record<string, number>;
      note(`${CONNECTING} ${OPEN} ${CLOSED} ${Object.keys(source).length}`);
      note(`${type.name} ${type.length} ${String(source)} ${source.withCredentials}`);
      note(`${source instanceof EventTarget} ${"onopen" in type.prototype}`);
      for (const call of [
        () => (type as unknown as () => unknown)(),
        () => new (type as unknown as new (url: string) => unknown)("http://[/"),
      ]) {
        try {
          call();
        } catch (error) {
          note(`${(error as Error).name} ${(error as Error).constructor.name}`);
        }
      }
      source.close();
    },
    log: [
      "0 1 2",
      '{"value":2,"writable":false,"enumerable":true,"configurable":false}',
      "0 1 2 0",
      "EventSource 1 [object EventSource] true",
      "true true",
      "TypeError TypeError",
      "SyntaxError DOMException",
    ],
  },
];
