/** The examples of streams, started as their head comments say, and looked at with curl and in a browser. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import type { Command } from "../support/command.js";
import { blocksOf, eventsOf, headOf, listen, post, startExample } from "../support/example.js";
import type { Block } from "../support/raw.js";
import { until } from "../support/until.js";

const start = (name: string, env: Record<string, string> = {}) =>
  startExample(process.execPath, [`streams/${name}.mjs`], { PORT: "0", ...env });

const dataOf = (event: Block | undefined) => JSON.parse(event?.data ?? "null") as Record<string, unknown>;
const allData = (curl: Command) => eventsOf(curl).map(dataOf);
const count = (what: string, curl: Command, events: number) =>
  until(
    () => `${events} events of ${what}; there were: ${curl.stdout() + curl.stderr()}`,
    () => eventsOf(curl).length >= events,
  );

/** How a stream ends: because it was whole, its time was over, or the server stops. */
const done = { id: "millrace.closed", event: "millrace.close", data: '{"reason":"done","reconnect":false}' };
const expired = { event: "millrace.close", data: '{"reason":"expired","reconnect":true}' };
const shutdown = { event: "millrace.close", data: '{"reason":"shutdown","reconnect":true}' };

/** Stops an example in the middle of a stream: at once, without a word, and its client is told to come back. */
async function stop(command: Command, open: Command): Promise<void> {
  const beforeMs = performance.now();
  command.kill("SIGTERM");
  expect(await command.ended).toEqual({ code: 0, signal: null });
  expect(performance.now() - beforeMs).toBeLessThan(1500);
  expect(command.stderr()).toBe("");
  await open.ended;
  expect(eventsOf(open).at(-1)).toMatchObject(shutdown);
}

const chromium = chromiumAvailable();
const inBrowser = describe.skipIf(!chromium.available);
const why = { meta: { skipReason: chromium.reason } };

let browser: Browser;
beforeAll(async () => {
  if (chromium.available) browser = await launchChromium();
});
afterAll(() => browser?.close());

/** A page in a tab of its own, and what its console says against it. */
async function openTab(url: string, prepare?: (page: Page) => Promise<void>) {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  await prepare?.(page);
  await page.goto(url);
  // Not expect.poll, which tests that run at the same time cannot share.
  const shows = async (text: string) => {
    let shown = "";
    await until(
      () => `the page says ${JSON.stringify(text)}; it says: ${shown}`,
      async () => {
        shown = await page.innerText("body");
        return shown.includes(text);
      },
    );
  };
  return { page, errors, shows, [Symbol.asyncDispose]: () => page.close() };
}

describe.concurrent("basic.mjs", () => {
  test("a confirmation, 100 events, the end; texts; one that is slow", async () => {
    const { command, url } = await start("basic");
    await using _ = command;
    await using whole = listen(`${url}/events`, "-i");
    await using text = listen(`${url}/events/text`);
    await using slow = listen(`${url}/events/slow`);
    await using leaver = listen(`${url}/events`);
    await count("the leaver", leaver, 3);
    leaver.kill();
    await until("its loop has ended", () => /has left\n/.test(command.stdout()));
    expect(command.stdout()).toContain(`${dataOf(eventsOf(leaver)[0]).id} has left\n`);

    await count("the slow stream", slow, 3);
    const atMs = performance.now();
    await count("the slow stream", slow, 4);
    expect(performance.now() - atMs).toBeGreaterThan(1700);

    await whole.ended;
    const { status, headers } = headOf(whole);
    expect(status).toBe("HTTP/1.1 200 OK");
    const [confirmation, ...others] = eventsOf(whole);
    expect(confirmation).toMatchObject({ event: "connected", id: "conn-1", retry: 3000 });
    expect(dataOf(confirmation)).toEqual({ id: headers["millrace-connection"] });
    expect(headers).toMatchObject({
      "cache-control": "no-cache, no-store, must-revalidate, no-transform",
      "content-type": "text/event-stream; charset=utf-8",
      expires: "0",
      pragma: "no-cache",
      "x-accel-buffering": "no",
    });
    const events = others.slice(0, 100);
    expect(events.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, at) => `data-${at + 1}`));
    expect(events.map((event) => dataOf(event).n)).toEqual(Array.from({ length: 100 }, (_, at) => at + 1));
    const tookMs = Number(dataOf(events[99]).timestamp) - Number(dataOf(events[0]).timestamp);
    expect(tookMs).toBeGreaterThanOrEqual(99 * 99);
    expect(tookMs).toBeLessThan(15_000);
    expect(others.slice(100)).toEqual([{ event: "close", id: "close-1", data: "that was all" }, done]);

    await text.ended;
    expect(blocksOf(text)[1]).toEqual({ comment: "no page sees this" });
    expect(eventsOf(text)).toEqual([
      { data: "connection" },
      ...Array.from({ length: 10 }, (_, at) => ({ data: `text ${at + 1}\nits second line` })),
      done,
    ]);

    await count("the slow stream, its configuration", slow, 12);
    const [first, ...rest] = eventsOf(slow);
    expect(first).toEqual({ event: "connected", id: "conn-1", data: "a slow one" });
    expect(rest.slice(0, 10)).toEqual(
      Array.from({ length: 10 }, (_, at) => ({ id: `data-${at + 1}`, data: `{"n":${at + 1}}` })),
    );
    expect(rest[10]).toEqual({ event: "config", retry: 10_000, data: '{"retry":10000}' });
    await stop(command, slow);
  });

  inBrowser("its page", why, () => {
    test("counts to the end, and does not come back", async () => {
      const { command, url } = await start("basic");
      await using _ = command;
      const statuses: number[] = [];
      await using tab = await openTab(url, async (page) => {
        page.on("response", (response) => response.url().endsWith("/events") && statuses.push(response.status()));
      });
      for (const n of [10, 20, 50]) await tab.shows(`Event ${n}`);
      await tab.shows("that was all");
      expect(await tab.page.evaluate("events.readyState")).toBe(0);
      await tab.page.waitForFunction("events.readyState === EventSource.CLOSED"); // it has come once more, after 3 s
      expect(statuses).toEqual([200, 204]);
      expect(command.lines().filter((line) => line.endsWith("has left"))).toHaveLength(1);
      expect(tab.errors).toEqual([]);
    });
  });
});

test("channels.mjs: each channel its form and pace, a fallback, a redirect, heartbeats", async () => {
  const { command, url } = await start("channels");
  await using _ = command;
  expect(url).toContain("//0.0.0.0:");
  const here = url.replace("0.0.0.0", "127.0.0.1");
  await using news = listen(`${here}/events/news`, "-i", "-H", "Origin: http://localhost:8080");
  await using stocks = listen(`${here}/events/stocks`, "-i", "-H", "Origin: http://evil.example");
  await using chat = listen(`${here}/events/chat`);
  await using general = listen(`${here}/events`, "-L");
  await using unknown = listen(`${here}/events/sport`);
  await using redirected = listen(`${here}/events`, "-i");

  await redirected.ended;
  expect(headOf(redirected)).toMatchObject({
    status: "HTTP/1.1 307 Temporary Redirect",
    headers: { location: "/events/general" },
  });

  const said = (curl: Command) => eventsOf(curl).filter(({ event }) => event !== "heartbeat");
  await until("the third round of stocks", () => said(stocks).length >= 15);
  const prices = said(stocks).slice(0, 15);
  expect(prices.map(({ event }) => event)).toEqual(Array(15).fill("stock"));
  const symbols = ["AAPL", "GOOG", "MSFT", "AMZN", "TSLA"];
  expect(prices.map((event) => dataOf(event).symbol)).toEqual([...symbols, ...symbols, ...symbols]);
  for (const event of prices) expect(event.data).toMatch(/^\{"symbol":"[A-Z]{4}","price":1\d\d(\.\d{1,2})?\}$/);

  await until("the second of general and of chat", () => [general, unknown, chat].every((curl) => said(curl)[1]));
  for (const curl of [general, unknown]) {
    expect(said(curl)[0]).toEqual({ data: '{"message":"General update 1"}' });
    expect(said(curl)[1]).toEqual({ data: '{"message":"General update 2"}' });
  }
  expect(said(chat)).toEqual([
    { event: "chat", data: '{"user":"Ann","message":"Message 1"}' },
    { event: "chat", data: '{"user":"Bob","message":"Message 2"}' },
  ]);
  expect(said(news)[0]?.event).toBe("news");
  expect(said(news).map(dataOf)).toEqual([
    { type: "news", id: 1, title: "News item 1", timestamp: expect.any(Number) },
  ]);
  expect(headOf(news).headers["access-control-allow-origin"]).toBe("http://localhost:8080");
  expect(headOf(stocks).headers).not.toHaveProperty("access-control-allow-origin");

  const left = new AbortController();
  const { headers } = await fetch(`${url}/events/news`, { signal: left.signal });
  expect(headers.get("millrace-heartbeat-ms")).toBe("30000");
  left.abort();
  await stop(command, news);
});

describe("metrics.mjs", () => {
  const figures = expect.objectContaining({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    cpu: { total: expect.any(Number), cores: expect.any(Array) },
    memory: {
      totalBytes: expect.any(Number),
      usedBytes: expect.any(Number),
      processBytes: expect.any(Number),
    },
    load: [expect.any(Number), expect.any(Number), expect.any(Number)],
    eventLoopDelayMs: { mean: expect.any(Number), p99: expect.any(Number), max: expect.any(Number) },
    connections: expect.any(Number),
    users: expect.any(Number),
    requestsPerSecond: expect.any(Number),
    errorsPerSecond: expect.any(Number),
  });
  const members = ["network", "errorPercent", "responseMeanMs", "responseP99Ms", "publishedPerSecond"];

  /** From one reading to the next, by the machine's clock. */
  function stepMs(curl: Command): number {
    const [first, second] = allData(curl).map(({ time }) => Date.parse(String(time)));
    return Number(second) - Number(first);
  }

  test("figures at their rates, a source that mostly has nothing to say", async () => {
    const { command, url } = await start("metrics");
    await using _ = command;
    const beforeMs = performance.now();
    await using monitoring = listen(`${url}/monitoring`);
    await using twice = listen(`${url}/figures/500`);
    await using fallback = listen(`${url}/figures/7`);
    await using slower = listen(`${url}/figures/2000`);
    await using slowest = listen(`${url}/figures/5000`);
    await using sensor = listen(`${url}/sensor`);
    for (const curl of [monitoring, twice, fallback]) await count("figures", curl, 2);
    await count("the slower figures", slower, 1);
    expect(performance.now() - beforeMs).toBeGreaterThan(1900);
    expect(eventsOf(slowest)).toEqual([]);
    for (const [curl, ms] of [[monitoring, 500] as const, [twice, 500] as const, [fallback, 1000] as const]) {
      expect(stepMs(curl)).toBeGreaterThan(ms * 0.6);
      expect(stepMs(curl)).toBeLessThan(ms * 1.4);
    }
    expect(eventsOf(monitoring)[0]?.event).toBe("monitoring");
    expect(eventsOf(twice)[0]?.event).toBe("figures");
    for (const data of [monitoring, twice, fallback, slower].flatMap(allData)) {
      expect(data).toEqual(figures);
      for (const member of members) expect(data).toHaveProperty(member);
    }
    await count("the sensor", sensor, 2);
    for (const data of allData(sensor)) expect(data).toEqual({ celsius: expect.any(Number) });
    expect(eventsOf(sensor).length).toBeLessThan(((performance.now() - beforeMs) / 100) * 0.8);
    await stop(command, slowest);
  });

  inBrowser("its page", why, () => {
    test("shows what is measured now", async () => {
      const { command, url } = await start("metrics");
      await using _ = command;
      await using tab = await openTab(url);
      await tab.shows('"eventLoopDelayMs": {');
      await tab.shows('"connections": 1,');
      const shown = await tab.page.innerText("pre");
      expect(JSON.parse(shown)).toEqual(figures);
      await expect.poll(() => tab.page.innerText("pre"), { timeout: 5000 }).not.toBe(shown);
      expect(tab.errors).toEqual([]);
    });
  });
});

test("resilient.mjs: three failures, and it gives up; no failure, and it goes on", async () => {
  const bad = await start("resilient", { FAILURES: "1" });
  await using _bad = bad.command;
  const good = await start("resilient", { FAILURES: "0" });
  await using _good = good.command;
  await using failing = listen(`${bad.url}/events`);
  await using going = listen(`${good.url}/events`);
  const beforeMs = performance.now();
  await failing.ended;
  expect(performance.now() - beforeMs).toBeGreaterThan(1900); // two pauses of a second
  expect(performance.now() - beforeMs).toBeLessThan(4000);
  expect(eventsOf(failing)).toEqual([
    { retry: 5000, data: '{"retry":1}' },
    { retry: 5000, data: '{"retry":2}' },
    { data: '{"error":"Max retries exceeded: the sensor does not answer"}' },
    done,
  ]);
  await count("readings", going, 3);
  const readings = allData(going).slice(0, 3);
  for (const reading of readings)
    expect(reading).toEqual({ celsius: expect.any(Number), timestamp: expect.any(Number) });
  const tookMs = Number(readings[2]?.timestamp) - Number(readings[0]?.timestamp);
  expect(tookMs).toBeGreaterThan(900);
  expect(tookMs).toBeLessThan(1500);
  await stop(good.command, going);
  await using again = listen(`${bad.url}/events`);
  await count("the failing stream", again, 1);
  await stop(bad.command, again);
});

describe("notifications.mjs", () => {
  test("to a user, a role, everyone, a connection", async () => {
    const { command, url } = await start("notifications");
    await using _ = command;
    await using ann = listen(`${url}/feed/ann`);
    await using tablet = listen(`${url}/feed/ann`);
    await using bob = listen(`${url}/feed/bob`);
    await using stranger = listen(`${url}/feed/eve`);
    const all = [ann, tablet, bob, stranger];
    for (const curl of all) await count("the confirmation", curl, 1);
    const ids = all.map((curl) => String(allData(curl)[0]?.id));
    expect(new Set(ids).size).toBe(4);

    const sent = { status: 200, text: expect.stringMatching(/^\{"id":"[\w-]+"\}$/) };
    expect(await post(`${url}/users/ann`, { type: "success", message: "to ann" })).toEqual(sent);
    expect(await post(`${url}/roles/editor`, { type: "warning", message: "to editors" })).toEqual(sent);
    expect(await post(`${url}/roles/admin`, { type: "warning", message: "to admins" })).toEqual(sent);
    expect(await post(`${url}/connections/${ids[1]}`, { type: "info", message: "this tab" })).toEqual({
      status: 200,
      text: '{"there":true}',
    });
    expect(await post(`${url}/connections/${ids[1]?.slice(1)}`, { message: "nobody" })).toEqual({
      status: 404,
      text: '{"there":false}',
    });
    expect(await post(`${url}/users/carl`, { message: "waits for carl" })).toEqual(sent);
    expect(await post(`${url}/everyone`, { type: "error", message: "to all" })).toEqual(sent);
    const messages = (curl: Command) => allData(curl).flatMap(({ message }) => message ?? []);
    for (const curl of all) await until("the last", () => messages(curl).includes("to all"));
    expect(all.map(messages)).toEqual([
      ["to ann", "to editors", "to all"],
      ["to ann", "to editors", "this tab", "to all"],
      ["to editors", "to admins", "to all"],
      ["to all"],
    ]);
    const [, notification] = eventsOf(ann);
    expect(notification).toMatchObject({ event: "notification", channel: "@user/ann" });
    expect(dataOf(notification)).toEqual({
      id: expect.stringMatching(/^[\da-f-]{36}$/),
      type: "success",
      message: "to ann",
      timestamp: expect.any(Number),
    });

    await using carl = listen(`${url}/feed/carl`);
    await until("what waited", () => messages(carl).length > 0);
    expect(messages(carl)).toEqual(["waits for carl"]); // who was not there is not among all
    for (const bad of ["{", "null", "{}", '{"message":1}'])
      expect((await post(`${url}/everyone`, bad)).status).toBe(400);
    expect((await fetch(`${url}/events?channel=general`)).status).toBe(404); // nobody reads past the feed
    await stop(command, stranger);
  });

  inBrowser("its page", why, () => {
    test("an error stays until it is clicked, all else goes by itself", async () => {
      const { command, url } = await start("notifications");
      await using _ = command;
      const clock = (page: Page) => page.clock.install(); // so that nobody waits for what goes after 5 s
      await post(`${url}/users/bob`, { type: "success", message: "while you were out" });
      await using one = await openTab(`${url}/?user=ann`, clock);
      await using two = await openTab(`${url}/?user=ann`, clock);
      await using bob = await openTab(`${url}/?user=bob`, clock);
      const tabs = [one, two, bob];
      for (const tab of tabs) await expect.poll(() => tab.page.innerText("#connection")).toMatch(/^[\da-f-]{36}$/);
      const boxes = ({ page }: { page: Page }) =>
        page.$$eval("[role]", (all) => all.map(({ role, className, textContent }) => [role, className, textContent]));
      const waited = ["status", "success", "while you were out"];
      await expect.poll(() => boxes(bob)).toEqual([waited]);

      const markup = "<img src=x onerror=alert(1)>";
      await post(`${url}/users/ann`, { type: "shout", message: markup });
      await post(`${url}/roles/editor`, { type: "warning", message: "to editors" });
      await post(`${url}/everyone`, { type: "error", message: "to all" });
      const id = await two.page.innerText("#connection");
      await post(`${url}/connections/${id}`, { type: "info", message: "this tab" });
      const alert = ["alert", "error", "to all"];
      const warning = ["status", "warning", "to editors"];
      const unknown = ["status", "info", markup];
      await expect.poll(() => boxes(one)).toEqual([unknown, warning, alert]);
      await expect.poll(() => boxes(two)).toEqual([unknown, warning, alert, ["status", "info", "this tab"]]);
      await expect.poll(() => boxes(bob)).toEqual([waited, warning, alert]);

      for (const tab of tabs) {
        await tab.page.clock.fastForward(5000);
        await expect.poll(() => boxes(tab)).toEqual([alert]);
        await tab.page.clock.fastForward(60_000);
        expect(await boxes(tab)).toEqual([alert]);
        await tab.page.click("[role=alert]");
        expect(await boxes(tab)).toEqual([]);
        expect(tab.errors).toEqual([]);
      }
    });
  });
});

describe("chat.mjs", () => {
  test("what is said in a room, also before one came", async () => {
    const { command, url } = await start("chat");
    await using _ = command;
    await using early = listen(`${url}/rooms/kitchen`);
    await using elsewhere = listen(`${url}/rooms/hall`);
    await until("they are there", () => early.stdout().includes("retry:") && elsewhere.stdout().includes("retry:"));
    const say = (text: string) => post(`${url}/rooms/kitchen`, { name: "Ann", text });
    const people = async () => (await fetch(`${url}/rooms/kitchen/people`)).json();
    for (let n = 1; n <= 60; n++) expect(await say(`text ${n}`)).toMatchObject({ status: 200 });
    const texts = (curl: Command) => allData(curl).map(({ text }) => text);
    const all = Array.from({ length: 60 }, (_, at) => `text ${at + 1}`);
    await count("the room", early, 60);
    expect(texts(early)).toEqual(all);
    expect(dataOf(eventsOf(early)[0])).toEqual({ name: "Ann", text: "text 1", timestamp: expect.any(Number) });
    await using late = listen(`${url}/rooms/kitchen`);
    await count("the history", late, 50);
    expect(texts(late)).toEqual(all.slice(10));
    expect(await people()).toEqual({ people: 2 });
    late.kill();
    await until("one has gone", async () => JSON.stringify(await people()) === '{"people":1}');
    for (const bad of ["{", "null", '{"name":"Ann"}', '{"name":"Ann","text":""}']) {
      expect((await post(`${url}/rooms/kitchen`, bad)).status).toBe(400);
    }
    expect((await fetch(`${url}/rooms/*`)).status).toBe(404);
    expect((await post(`${url}/rooms/cellar`, { name: "Ann", text: "Hello" })).status).toBe(404);
    expect(eventsOf(elsewhere)).toEqual([]);
    await stop(command, early);
  });

  inBrowser("its page", why, () => {
    test("two windows have the same, also the one that was closed for a while", async () => {
      const { command, url } = await start("chat");
      await using _ = command;
      await using one = await openTab(url);
      const say = async ({ page }: { page: Page }, name: string, text: string) => {
        await page.fill("[name=name]", name);
        await page.fill("[name=text]", text);
        await page.click("button");
      };
      const said = ({ page }: { page: Page }) => page.$$eval("li", (all) => all.map(({ textContent }) => textContent));
      {
        await using two = await openTab(url);
        await say(one, "Ann", "Hello");
        await two.shows("Ann: Hello");
        await say(two, "Bob", "<b>Hi</b>");
        await one.shows("Bob: <b>Hi</b>");
        expect(await said(two)).toEqual(await said(one));
        expect(two.errors).toEqual([]);
      }
      await say(one, "Ann", "Where are you?");
      await using again = await openTab(url);
      await again.shows("Ann: Where are you?");
      expect(await said(again)).toEqual(["Ann: Hello", "Bob: <b>Hi</b>", "Ann: Where are you?"]);
      expect(await said(one)).toEqual(await said(again));
      expect([...one.errors, ...again.errors]).toEqual([]);
    });
  });
});

test("self-test.mjs: 1,000 events, a summary, the client's id, and a line each hundred", async () => {
  const { command, url } = await start("self-test");
  await using _ = command;
  await using curl = listen(`${url}/self-test`, "-i");
  await curl.ended;
  const id = headOf(curl).headers["x-client-id"];
  expect(id).toMatch(/^[\da-f-]{36}$/);
  const events = eventsOf(curl);
  expect(events).toHaveLength(1002);
  events.slice(0, 1000).forEach((event, at) => {
    expect(event).toMatchObject({ event: "test", id: `${at + 1}` });
    expect(dataOf(event)).toEqual({
      sequence: at + 1,
      timestamp: expect.any(Number),
      client_id: id,
      previous_us: at === 0 ? null : expect.any(Number),
    });
  });
  expect(events[1000]?.event).toBe("summary");
  const summary = dataOf(events[1000]);
  expect(summary).toEqual({
    total_events: 1000,
    total_time_ms: expect.any(Number),
    mean_time_ms: expect.any(Number),
    mean_send_us: expect.any(Number),
    events_per_second: expect.any(Number),
  });
  expect(summary.total_time_ms).toBeGreaterThanOrEqual(999);
  expect(summary.total_time_ms).toBeLessThan(3000);
  expect(events[1001]).toEqual(done);
  const lines = command.lines().slice(1);
  expect(lines.map((line) => /^self-test: event (\d+) of 1000 in \d+ µs$/.exec(line)?.[1])).toEqual(
    Array.from({ length: 10 }, (_, at) => `${(at + 1) * 100}`),
  );
  await using cut = listen(`${url}/self-test`);
  await count("the second one", cut, 10);
  await stop(command, cut);
});

test("jwt.mjs: 401, 403, who it is, a ticket once, and the end at the token's second", async () => {
  const { command, url } = await start("jwt", { LIFETIME: "3s" });
  await using _ = command;
  await until("the token", () => command.lines()[1]);
  const token = /^TOKEN=(.*)$/.exec(command.lines()[1] ?? "")?.[1] ?? "";
  const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { exp: number };
  const bearer = (what: string) => ["-H", `Authorization: Bearer ${what}`];
  async function answer(path: string, ...flags: string[]) {
    await using curl = listen(url + path, "-i", ...flags);
    await curl.ended;
    return { status: Number(headOf(curl).status.split(" ")[1]), text: curl.stdout().split("\r\n\r\n")[1] ?? "" };
  }

  await using stream = listen(`${url}/events`, ...bearer(token));
  const issued = await answer("/tickets", "-X", "POST", ...bearer(token));
  expect(issued.status).toBe(200);
  const { ticket } = JSON.parse(issued.text) as { ticket: string };
  await using ticketed = listen(`${url}/events?ticket=${ticket}`);
  await count("the stream with a ticket", ticketed, 1);
  expect((await answer(`/events?ticket=${ticket}`)).status).toBe(401);
  expect((await answer("/events?ticket=guessed")).status).toBe(401);
  expect((await answer("/events")).status).toBe(401);
  expect((await answer("/tickets", "-X", "POST")).status).toBe(401);
  expect((await answer("/events", ...bearer("nonsense"))).status).toBe(403);
  const forged = token.replace(/\.[^.]*$/, (signature) => `.${[...signature.slice(1)].reverse().join("")}`);
  expect((await answer("/events", ...bearer(forged))).status).toBe(403);

  for (const curl of [stream, ticketed]) {
    await curl.ended;
    expect(Date.now()).toBeGreaterThanOrEqual(exp * 1000);
    const [connected, first, ...more] = eventsOf(curl);
    expect(connected).toEqual({ event: "connected", data: '{"user":"ann","roles":["reader"]}' });
    expect(first).toEqual({ event: "tick", data: '{"n":1}' });
    expect(more.at(-1)).toEqual(expired);
  }
  expect(Date.now()).toBeLessThan((exp + 1) * 1000);
  const late = await answer("/events", ...bearer(token));
  expect(late.status).toBe(401);
  expect(late.text).toContain("expired");
  command.kill("SIGTERM");
  expect(await command.ended).toEqual({ code: 0, signal: null });
  expect(command.stderr()).toBe("");
});

describe.concurrent("answer.mjs", () => {
  const words = "A channel is a log and a subscriber is a cursor so whoever comes late reads from the start".split(" ");
  const ask = async (url: string, query = "") =>
    url + (JSON.parse((await post(`${url}/answers${query}`, "")).text) as { answer: string }).answer;
  const whole = `${words.join(" ")} ■`;
  const end = { event: "millrace.end", data: '{"status":"done"}' };

  test("whole for whoever comes late; its end is said", async () => {
    const { command, url } = await start("answer");
    await using _ = command;
    const answer = await ask(url);
    const broken = await ask(url, "?fail=1");
    await using early = listen(answer);
    await using failing = listen(broken);
    await count("the answer", early, 3);
    await using late = listen(answer);
    await failing.ended;
    await early.ended;
    await late.ended;
    await using afterwards = listen(answer);
    await afterwards.ended;
    for (const curl of [early, late, afterwards]) {
      expect(eventsOf(curl).slice(0, -2)).toMatchObject(words.map((data) => ({ event: "token", data })));
      expect(eventsOf(curl).at(-2)).toMatchObject(end);
      expect(eventsOf(curl).at(-1)).toMatchObject({ id: "millrace.closed", event: "millrace.close" });
    }
    expect(eventsOf(failing).slice(0, 5)).toMatchObject(words.slice(0, 5).map((data) => ({ event: "token", data })));
    const [, , , , , failed, farewell] = eventsOf(failing);
    expect(failed?.event).toBe("millrace.end");
    expect(dataOf(failed)).toEqual({ status: "failed", error: expect.any(String) });
    expect(farewell).toMatchObject({ id: "millrace.closed", event: "millrace.close" });
    expect(failing.stdout()).not.toContain("out of words");
    expect(command.stderr()).toContain("out of words");
    command.kill("SIGTERM");
    expect(await command.ended).toEqual({ code: 0, signal: null });
  });

  test("stops in the middle", async () => {
    const { command, url } = await start("answer");
    await using _ = command;
    await using curl = listen(await ask(url));
    await count("the answer", curl, 2);
    const beforeMs = performance.now();
    command.kill("SIGTERM");
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - beforeMs).toBeLessThan(1500);
    expect(command.stderr()).toBe("");
    await curl.ended;
    expect(curl.stdout()).toMatch(/event: millrace\.(end|close)/);
  });

  inBrowser("its page", why, () => {
    test("goes on over a reload, and stays away after the end", async () => {
      const { command, url } = await start("answer");
      await using _ = command;
      const statuses: number[] = [];
      await using tab = await openTab(url, async (page) => {
        page.on("response", (response) => response.url().includes("/answers/") && statuses.push(response.status()));
      });
      await tab.page.click("button");
      await tab.shows("A channel is a");
      await tab.page.reload();
      await tab.shows("A channel is a");
      await using other = await openTab(tab.page.url());
      await other.shows("A channel is a");
      for (const { shows } of [tab, other]) await shows(whole);
      await tab.page.waitForFunction("events.readyState === EventSource.CLOSED");
      expect(statuses).toEqual([200, 200, 204]);
      for (const { page } of [tab, other]) expect(await page.innerText("p")).toBe(whole);
      await tab.page.click("button");
      await tab.page.waitForFunction(`/^A channel is\\b[^■]*$/.test(text.textContent)`);
      expect([...tab.errors, ...other.errors]).toEqual([]);
    });
  });
});
