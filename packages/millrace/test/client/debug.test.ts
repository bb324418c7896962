import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { connect, debug, EventSource } from "../../src/client/index.js";
import { type FaultServer, startFaultServer } from "../../src/testing/index.js";
import { until } from "../hub/until.js";

let server: FaultServer;
beforeEach(async () => {
  server = await startFaultServer();
});
afterEach(() => server[Symbol.asyncDispose]());

function lines() {
  const said: unknown[][] = [];
  const log = (first: unknown, ...rest: unknown[]) => {
    expect(first).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z http:\S+ /);
    said.push([String(first).replace(/^\S+ \S+ /, ""), ...rest]);
  };
  return { said, log };
}

const answers = [
  { body: ['id: 1\ndata: {"a":1}\n\nevent: tick\nchannel: n\ndata: text\n\nevent: other\ndata: 2\n\n'] },
  { status: 403, headers: { "content-type": "text/plain" } },
];

test("says what an EventSource does, of the names that it is listened to for", async () => {
  server.script("/", answers);
  const { said, log } = lines();
  const source = debug(new EventSource(server.origin), { log, events: ["other"] });
  onTestFinished(() => source.close());
  const heard: string[] = [];
  source.addEventListener("tick", ({ data }) => heard.push(data));
  await until(() => said.length === 5);
  expect(said).toEqual([
    ["open"],
    ["message 1", { a: 1 }],
    ["tick 1", "text"],
    ["other 1", 2],
    ["error, connecting: The stream has ended"],
  ]);
  expect(heard).toEqual(["text"]);
});

test("says what a connection does, and why", async () => {
  server.script("/", answers);
  const { said, log } = lines();
  const stream = debug(connect(server.origin, { parse: "text", backoff: { baseMs: 1 } }), { log });
  await until(() => stream.state === "closed");
  expect(said).toEqual([
    ["connecting"],
    ["open"],
    ["message 1", '{"a":1}'],
    ["tick 1 on n", "text"],
    ["other 1", "2"],
    [expect.stringMatching(/^waiting for \d+ ms: the stream has ended/)],
    ["connecting: the stream has ended, and did not say why"],
    ["closed: The server has answered 403, not 200"],
  ]);
});

test("takes nothing else", () => {
  expect(() => debug({ url: "http://x/" })).toThrow("debug takes an EventSource");
});
