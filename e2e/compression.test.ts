/** Compressed streams of the hub, read by the clients that there are: each as it comes, none with an option of its own. */
import { EventSource } from "millrace/client";
import { createParser } from "millrace/protocol";
import { describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "./support/chromium.js";
import { type Command, runCommand, startCommand } from "./support/command.js";
import { type HubProcess, startHub } from "./support/hub.js";
import { pause, until } from "./support/until.js";

/** So that within a few seconds streams are quiet, hear heartbeats, end, and are come back to. */
const flags = ["--store", "memory", "--compression", "--heartbeat", "400ms", "--max-age", "2s", "--retry", "50ms"];
const path = "/events?channel=ticks";

const number = (n: number) => String(n).padStart(3, "0");

/** Publishes numbers, one at a time, with a silence in the middle. */
async function publish(hub: HubProcess, count: number): Promise<string[]> {
  const all: string[] = [];
  for (let n = 0; n < count; n++) {
    const data = `tick ${number(n)} of a price that is nearly the one before`;
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${hub.url}/publish`, {
      ...{ method: "POST", headers, body: JSON.stringify({ channel: "ticks", event: "tick", data }) },
    });
    expect(answer.status, await answer.text()).toBe(200);
    all.push(data);
    await pause(n === Math.floor(count / 2) ? 1000 : 40);
  }
  return all;
}

/** What a client that does not come back has read: every event from the first on, heartbeats, and how it ended. */
function check(text: string, all: readonly string[]): void {
  const got: string[] = [];
  let farewell = "";
  const parser = createParser({
    onEvent: ({ type, data }) => {
      if (type === "tick") got.push(data);
      else farewell = `${type} ${data}`;
    },
  });
  parser.feed(Buffer.from(text));
  expect(got.length).toBeGreaterThan(10);
  expect(got).toEqual(all.slice(0, got.length));
  expect(text).toContain(": keepalive ");
  expect(farewell).toBe('millrace.close {"reason":"expired","reconnect":true}');
}

/** Events have come one by one, not when the stream was over. */
const reads = (command: Command) =>
  until(
    () => `an event; there was: ${command.stdout()}${command.stderr()}`,
    () => /^data: tick 00/m.test(command.stdout()),
    1900,
  );

test("curl", async () => {
  await using hub = await startHub(flags);
  await using curl = startCommand("curl", ["-sSNi", "--compressed", `${hub.url}${path}`]);
  await until("the opening block", () => curl.stdout().includes("\n\n"));
  const publishing = publish(hub, 30);
  await reads(curl);
  const all = await publishing;
  expect(await curl.ended).toEqual({ code: 0, signal: null });
  const [head = "", body = ""] = curl.stdout().split("\r\n\r\n");
  expect(head).toMatch(/^content-encoding: gzip$/im);
  expect(head).toMatch(/^vary: .*accept-encoding$/im);
  check(body, all);
});

test("fetch of Node", async () => {
  await using hub = await startHub(flags);
  const response = await fetch(`${hub.url}${path}`);
  expect(response.headers.get("content-encoding")).toBe("gzip");
  const publishing = publish(hub, 30);
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body as ReadableStream<Uint8Array>)
    text += decoder.decode(bytes, { stream: true });
  check(text, await publishing);
});

/** Reads as it comes; every byte has to be a whole event's once it is there. */
const script = `
import http.client, sys, zlib
connection = http.client.HTTPConnection(sys.argv[1])
connection.request("GET", sys.argv[2], headers={"Accept-Encoding": "gzip"})
response = connection.getresponse()
assert response.headers["content-encoding"] == "gzip", response.headers
inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
while chunk := response.read1():
    sys.stdout.write(inflate.decompress(chunk).decode())
    sys.stdout.flush()
`;
const python = await runCommand("python3", ["-c", "import zlib"]);
const skipReason = python.code === 0 ? "" : "no python3 with zlib on this machine (Debian: apt-get install python3)";

describe.skipIf(python.code !== 0)("zlib of Python", { meta: { skipReason } }, () => {
  test("reads it", async () => {
    await using hub = await startHub(flags);
    await using reader = startCommand("python3", ["-c", script, new URL(hub.url).host, path]);
    await until("the opening block", () => reader.stdout().includes("\n\n") || reader.stderr());
    const publishing = publish(hub, 30);
    await reads(reader);
    const all = await publishing;
    expect(await reader.ended, reader.stderr()).toEqual({ code: 0, signal: null });
    check(reader.stdout(), all);
  });
});

test("our EventSource, which comes back without a loss", async () => {
  await using hub = await startHub(flags);
  const source = new EventSource(`${hub.url}${path}`);
  const got: string[] = [];
  let opened = 0;
  source.onopen = () => opened++;
  source.addEventListener("tick", ({ data }) => got.push(data));
  try {
    await until("it is open", () => opened > 0);
    const all = await publish(hub, 80);
    await until("all of it", () => got.length >= all.length);
    expect(got).toEqual(all);
    expect(opened).toBeGreaterThan(1);
  } finally {
    source.close();
  }
});

const chromium = chromiumAvailable();

describe.skipIf(!chromium.available)("Chromium", { meta: { skipReason: chromium.reason } }, () => {
  test("has each event at once, and comes back without a loss", async () => {
    await using hub = await startHub(flags);
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      const codings: (string | null)[] = [];
      page.on("response", async (response) => {
        if (response.url().includes("/events")) codings.push(await response.headerValue("content-encoding"));
      });
      await page.goto(`${hub.url}/health`);
      await page.evaluate(`
        globalThis.got = [];
        globalThis.source = new EventSource(${JSON.stringify(path)});
        source.addEventListener("tick", ({ data, lastEventId }) => got.push({ data, lastEventId, at: Date.now() }));
      `);
      await until("it is open", () => page.evaluate("source.readyState === 1"));
      const all = await publish(hub, 80);
      const read = () => page.evaluate("got") as Promise<{ data: string; lastEventId: string; at: number }[]>;
      await until("all of it", async () => (await read()).length >= all.length);
      const got = await read();
      expect(got.map(({ data }) => data)).toEqual(all);
      expect(new Set(got.map(({ lastEventId }) => lastEventId)).size).toBe(all.length);
      expect(new Set(got.map(({ at }) => at)).size).toBeGreaterThan(40); // one by one
      expect(codings.length).toBeGreaterThan(1);
      expect(new Set(codings)).toEqual(new Set(["gzip"]));
    } finally {
      await browser.close();
    }
  });
});
