/** Streams inside applications of the frameworks that people use, each the example of its name, run as its head says. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { runCommand } from "../support/command.js";
import { until } from "../support/until.js";
import { prepare, start } from "./support/application.js";
import { openStream } from "./support/stream.js";

interface Framework {
  readonly name: string;
  readonly feed: string;
  /** Whether the application lets pages of another origin read. */
  readonly cors?: boolean;
  readonly hasPage?: boolean;
  /** How it ends by SIGTERM. */
  readonly code: number;
}

const frameworks: readonly Framework[] = [
  { name: "express", feed: "/feed", hasPage: true, code: 0 },
  { name: "fastify", feed: "/feed", cors: true, code: 0 },
  { name: "hono", feed: "/feed", cors: true, code: 0 },
  { name: "koa", feed: "/feed", code: 0 },
  { name: "next", feed: "/events", hasPage: true, code: 143 },
];

const ann = { cookie: "token=ann-secret" };
const bob = { cookie: "token=bob-secret" };
const browsers = chromiumAvailable();

describe.each(frameworks)("examples/$name", ({ name, feed, cors, hasPage, code }) => {
  let application: Awaited<ReturnType<typeof start>>;

  beforeAll(async () => {
    await prepare(name);
    application = await start(name);
  }, 300_000);

  afterAll(async () => {
    const complaints = application?.command.stderr();
    await application?.command[Symbol.asyncDispose]();
    expect(complaints).toBe("");
  });

  const ask = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(application.url + path, { method, headers });
  const publish = (title: string, headers: Record<string, string> = bob) =>
    fetch(`${application.url}/news`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ title }),
    });
  /** How many times the application has said that a client of that name is no longer counted for. */
  const departures = (user: string) => application.command.stdout().split(`no more counting for ${user}\n`).length - 1;

  test("other routes are the application's, and compressed", async () => {
    const answer = await ask("/", { "accept-encoding": "gzip" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect((await answer.text()).length).toBeGreaterThan(10);
    expect((await ask("/nothing", ann)).status).toBe(404);
  });

  test("an event comes when it is sent, uncompressed; the handler ends when its client leaves", async () => {
    const before = departures("ann");
    using stream = await openStream(`${application.url}/countdown/1000`, ann);
    expect(stream.status).toBe(200);
    expect(stream.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    expect(stream.headers["cache-control"]).toContain("no-transform");
    expect(stream.headers).not.toHaveProperty("content-encoding");
    expect(stream.headers["millrace-connection"]).toMatch(/^[\w-]{36}$/);
    // The last of them is sent minutes later.
    await stream.holds('event: count\ndata: {"n":1000,"user":"ann"}\n\n');
    await stream.holds('event: count\ndata: {"n":999,"user":"ann"}\n\n');
    stream.close();
    await until("the handler has ended", () => departures("ann") === before + 1);
  });

  test("curl has the whole of a stream, and is told not to come back", async () => {
    const args = ["-sSN", "-H", "Accept-Encoding: gzip", "-b", "token=bob-secret", `${application.url}/countdown/1`];
    const { code: exit, stdout } = await runCommand("curl", args);
    expect(exit).toBe(0);
    expect(stdout.replaceAll(/^: keepalive \d+\n\n/gm, "")).toBe(
      `: \n\nevent: count\ndata: {"n":1,"user":"bob"}\n\nevent: count\ndata: {"n":0,"user":"bob"}\n\n` +
        'id: millrace.closed\nevent: millrace.close\ndata: {"reason":"done","reconnect":false}\n\n',
    );
    for (const path of ["/countdown/1", feed]) {
      const { status, headers } = await ask(path, { ...bob, "last-event-id": "millrace.closed" });
      expect([path, status, headers.get("content-type")]).toEqual([path, 204, null]);
    }
  });

  test("HEAD is answered, and calls no handler", async () => {
    const before = departures("bob");
    const { status, headers } = await ask("/countdown/0", bob, "HEAD");
    expect([status, headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
    await runCommand("curl", ["-sSN", "-b", "token=bob-secret", `${application.url}/countdown/0`]);
    expect(departures("bob")).toBe(before + 1);
  });

  test.each(["/countdown/1", feed])("the application's own middleware guards %s", async (path) => {
    expect((await ask(path)).status).toBe(401);
    expect((await ask(path, { cookie: "token=guessed" })).status).toBe(403);
    expect((await ask(path, { cookie: "token=guessed", "x-user": "ann" })).status).toBe(403);
  });

  test("what is published comes to who follows, and to who comes back", async () => {
    expect((await publish("by a stranger", {})).status).toBe(401);
    using stream = await openStream(application.url + feed, ann);
    expect(stream.status).toBe(200);
    expect(stream.headers).not.toHaveProperty("content-encoding");
    const answer = await publish("It rains");
    expect(answer.status).toBe(201);
    const { id } = (await answer.json()) as { id: string };
    await stream.holds(`id: ${id}\nevent: headline\nchannel: news\ndata: {"title":"It rains","by":"bob"}\n\n`);
    expect(stream.text()).not.toContain("by a stranger");
    stream.close();
    await publish("It stops");
    using again = await openStream(application.url + feed, { ...ann, "last-event-id": id });
    await again.holds("It stops");
    expect(again.text()).not.toContain("It rains");
  });

  test("SIGTERM ends it at once, and its clients hear of it", async () => {
    const other = await start(name);
    await using _ = other.command;
    using counting = await openStream(`${other.url}/countdown/1000`, ann);
    using following = await openStream(other.url + feed, bob);
    await counting.holds('"n":1000');
    await following.holds("id: ");
    const sentMs = performance.now();
    other.command.kill("SIGTERM");
    for (const stream of [counting, following]) {
      await stream.holds("event: millrace.close\n");
      expect(stream.text()).toContain('data: {"reason":"shutdown","reconnect":true}\n\n');
      await until("it has ended", () => stream.ended());
    }
    const ended = await other.command.ended;
    expect(ended).toEqual({ code, signal: null });
    expect(performance.now() - sentMs).toBeLessThan(1000);
    expect(other.command.stderr()).toBe("");
  });

  if (cors) {
    test("what a plugin says of other origins is in the head of a stream", async () => {
      for (const path of ["/countdown/1000", feed]) {
        using stream = await openStream(application.url + path, { ...ann, origin: "https://app.example" });
        expect(stream.headers["access-control-allow-origin"]).toBe("https://app.example");
        expect(stream.headers["access-control-allow-credentials"]).toBe("true");
      }
    });
  }

  if (!hasPage) return;
  describe.skipIf(!browsers.available)("in a browser", { meta: { skipReason: browsers.reason } }, () => {
    test("its page counts down once, and two tabs see what one publishes", async () => {
      await using browser = await launchChromium();
      const context = await browser.newContext();
      const [one, two] = [await context.newPage(), await context.newPage()];
      const complaints: string[] = [];
      for (const page of [one, two]) page.on("pageerror", ({ message }) => complaints.push(message));
      const statuses: number[] = [];
      one.on("response", (answer) => {
        if (answer.url().endsWith("/countdown/5")) statuses.push(answer.status());
      });
      await one.goto(application.url);
      await two.goto(application.url);
      await until("both follow", async () => {
        await publish("Anyone there?");
        const seen = await Promise.all([one, two].map((page) => page.locator("li").count()));
        return seen.every((count) => count > 0);
      });
      await one.fill("input", "<b>Tea</b> is ready");
      await one.click("button");
      for (const page of [one, two]) await page.getByText("<b>Tea</b> is ready (ann)").waitFor();
      await until("the end of the count", async () => (await one.textContent("#count")) === "0");
      // The native client asks once more before it believes it.
      await until("it stays away", () => statuses.length === 2);
      expect(statuses).toEqual([200, 204]);
      expect(complaints).toEqual([]);
    });
  });
});
