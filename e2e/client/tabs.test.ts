/** One connection for all tabs, in a real browser with several pages, against a hub that comes and goes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { long } from "../resilience/support/scale.js";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { type HubProcess, startHub } from "../support/hub.js";
import { pause, until } from "../support/until.js";
import { hasData, hasState, holds, openTab, seenBy, servePages } from "./support/tabs.js";

const available = chromiumAvailable();
const apiKey = "key-of-the-tests";
const mostKills = long ? 40 : 4;

describe.skipIf(!available.available)("tabs", { meta: { skipReason: available.reason } }, () => {
  let browser: Browser;
  let pages: Awaited<ReturnType<typeof servePages>>;
  let cwd: string;
  let hub: HubProcess;
  let url: string;
  let context: BrowserContext;

  beforeAll(async () => {
    // A process for each page: one that crashes or is stopped takes along whoever is in its process.
    browser = await launchChromium(["--renderer-process-limit=50"]);
    pages = await servePages();
    cwd = await mkdtemp(join(tmpdir(), "millrace-tabs-"));
    hub = await start();
    url = hub.url;
  });
  afterAll(async () => {
    await browser?.close();
    await hub?.[Symbol.asyncDispose]();
    pages?.close();
    if (cwd) await rm(cwd, { recursive: true, force: true });
  });
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context?.close());

  const start = (): Promise<HubProcess> => {
    const flags = ["--api-key", apiKey, "--retry", "20ms", "--heartbeat", "1s", "--log-level", "warn"];
    return startHub(url === undefined ? flags : [...flags, "--port", new URL(url).port], { cwd });
  };

  const open = (query: string, options?: string, within = context): Promise<Page> =>
    openTab(within, pages.origin, `${url}/events?${query}`, options);

  /** Streams at the hub. What asks once and goes is none. */
  async function streams(): Promise<{ id: string; channels: string[]; transport: string }[]> {
    const answer = await fetch(`${url}/connections`, { headers: { authorization: `Bearer ${apiKey}` } });
    const { connections } = (await answer.json()) as { connections: Awaited<ReturnType<typeof streams>> };
    return connections.filter(({ transport }) => transport !== "poll");
  }
  const oneStream = () => until("one stream", async () => (await streams()).length === 1);

  let published = 0;
  /** Publishes until it is accepted. */
  async function publish(...events: { channel: string; data: unknown }[]): Promise<void> {
    const key = `event ${published++} of ${cwd}`;
    for (;;) {
      const answer = await fetch(`${url}/publish`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}`, "idempotency-key": key },
        body: JSON.stringify(events),
      }).catch(() => undefined);
      if (answer?.status === 200) return;
      if (answer && answer.status < 500) throw new Error(await answer.text());
      await pause(10);
    }
  }

  test("share one connection, whichever channels each of them reads", async () => {
    const tabs = [await open("channel=a"), await open("channel=b&channel=c/*"), await open("channel=a&channel=d")];
    for (const tab of tabs) await hasState(tab, "open");
    expect((await streams()).map(({ channels }) => [...channels].sort())).toEqual([["a", "b", "c/*", "d"]]);
    const [{ id } = { id: "" }] = await streams();
    expect((await Promise.all(tabs.map(seenBy))).map(({ connections }) => connections)).toEqual([[id], [id], [id]]);
    await publish(
      { channel: "a", data: 1 },
      { channel: "b", data: 2 },
      { channel: "c/1", data: 3 },
      { channel: "d", data: 4 },
    );
    await publish({ channel: "a", data: 5 });
    await hasData(tabs[0] as Page, [1, 5]);
    await hasData(tabs[1] as Page, [2, 3]);
    await hasData(tabs[2] as Page, [1, 4, 5]);
    expect(await Promise.all(tabs.map(holds))).toEqual([true, false, false]);
    await until("each knows how many they are", async () =>
      (await Promise.all(tabs.map(seenBy))).every(({ status }) => status.tabs?.count === 3),
    );
    // A channel that nobody reads any more is dropped.
    await (tabs[1] as Page).evaluate('stream.drop("c/*")');
    await (tabs[2] as Page).close();
    await until("the channels that are read", async () => (await streams())[0]?.channels.sort().join() === "a,b");
  });

  /** Three tabs; the first holds the connection. */
  async function openThree(query: string, options?: string): Promise<[Page, Page, Page]> {
    const [first, second, third] = [await open(query, options), await open(query, options), await open(query, options)];
    for (const tab of [first, second, third]) await hasState(tab, "open");
    return [first, second, third];
  }

  /** A channel of the test's own, with numbers on it. */
  function numbers() {
    const channel = `n/${published}`;
    let next = 0;
    return {
      query: `channel=${channel}&rewind=all`,
      publish: async (count: number) => {
        for (let at = 0; at < count; at++) await publish({ channel, data: next++ });
      },
      get all() {
        return Array.from({ length: next }, (_, n) => n);
      },
    };
  }

  /**
   * Stops all scripts of a page, which keeps its locks. By the debugger: `Page.setWebLifecycleState` freezes hidden pages only,
   * and pages under a test are never hidden. Answers with what has it go on.
   */
  async function freeze(page: Page): Promise<() => Promise<unknown>> {
    const session = await context.newCDPSession(page);
    await session.send("Debugger.enable");
    const paused = new Promise((resolve) => session.on("Debugger.paused", resolve));
    const stopped = page.evaluate("{ debugger }");
    await paused;
    return async () => {
      await session.send("Debugger.resume");
      await stopped;
      await session.detach();
    };
  }

  /** Publishes all the time, until the one that is there no longer has been followed by another. */
  async function whileEventsFlow(n: ReturnType<typeof numbers>, others: readonly Page[], run: () => unknown) {
    let stop = false;
    const publishing = (async () => {
      while (!stop) await n.publish(1);
    })();
    await until("events flow", () => n.all.length > 20);
    await run();
    await until("another one holds it", async () => (await Promise.all(others.map(holds))).includes(true));
    const { length } = n.all;
    await until("events flow", () => n.all.length > length + 20);
    stop = true;
    await publishing;
    for (const tab of others) await hasData(tab, n.all);
    await oneStream();
  }

  test("the holder is closed: another one goes on, and nothing is missing", async () => {
    const n = numbers();
    const [first, second, third] = await openThree(n.query);
    expect(await holds(first)).toBe(true);
    await whileEventsFlow(n, [second, third], () => first.close({ runBeforeUnload: true }));
  });

  test("the holder crashes", async () => {
    const n = numbers();
    const [first, second, third] = await openThree(n.query);
    const session = await context.newCDPSession(first);
    await whileEventsFlow(n, [second, third], () => void session.send("Page.crash").catch(() => {}));
    await until("it counts two", async () => (await seenBy(third)).status.tabs?.count === 2);
  });

  test("the holder goes into the browser's cache, and comes back", async () => {
    const n = numbers();
    const [first, second, third] = await openThree(n.query);
    // Browsers under a test keep no pages: this is what a page is told.
    const tell = (type: string) =>
      first.evaluate(`dispatchEvent(new PageTransitionEvent("${type}", { persisted: true }))`);
    await whileEventsFlow(n, [second, third], () => tell("pagehide"));
    expect((await seenBy(first)).status.state).toBe("waiting");
    await tell("pageshow");
    await hasData(first, n.all);
    expect(await holds(first)).toBe(false);
    await oneStream();
  });

  test("the holder is frozen, and mute when it wakes", async () => {
    const n = numbers();
    const [first, second, third] = await openThree(n.query);
    await n.publish(5);
    await hasData(third, n.all);
    const thaw = await freeze(first);
    await n.publish(30);
    await hasData(second, n.all);
    await hasData(third, n.all);
    await n.publish(5);
    await thaw();
    await n.publish(30);
    for (const tab of [first, second, third]) await hasData(tab, n.all);
    expect(await holds(first)).toBe(false);
    await oneStream();
  });

  test("a tab that is frozen catches up", async () => {
    const n = numbers();
    const [, second, third] = await openThree(n.query);
    const thaw = await freeze(third);
    await n.publish(30);
    await hasData(second, n.all);
    await thaw();
    await hasData(third, n.all);
    await oneStream();
  });

  test("the hub is killed and comes back, again and again: every tab has every event once, in order", {
    timeout: 180_000,
  }, async () => {
    const n = numbers();
    // Else streams that are cut so often are taken for blocked, and it polls.
    const streaming = "{ fallback: false }";
    const tabs: Page[] = await openThree(n.query, streaming);
    let stop = false;
    const publishing = (async () => {
      while (!stop) await n.publish(1);
    })();
    for (let kills = 0; kills < mostKills; kills++) {
      const before = n.all.length;
      await until("events flow", () => n.all.length > before + 40);
      hub.kill("SIGKILL");
      await hub.exited;
      // In the middle of it all.
      if (kills === 1) tabs.push(await open(n.query, streaming));
      if (kills === 2) await tabs.shift()?.close({ runBeforeUnload: true });
      hub = await start();
    }
    stop = true;
    await publishing;
    for (const tab of tabs) await hasData(tab, n.all);
    await n.publish(3);
    for (const tab of tabs) await hasData(tab, n.all);
    await oneStream();
  });

  test("a loop that takes its time is caught up with by itself, and disturbs no other tab", async () => {
    const n = numbers();
    const [, second, third] = await openThree(n.query);
    await third.evaluate(
      `(async () => {
      globalThis.slow = [];
      for await (const { data } of stream) {
        slow.push(data);
        if (data < 20) await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })()`.replace("(async", "void (async"),
    );
    const all = Array.from({ length: 3000 }, (_, data) => ({
      channel: n.query.slice(8).split("&")[0] as string,
      data,
    }));
    for (let at = 0; at < all.length; at += 500) await publish(...all.slice(at, at + 500));
    const expected = all.map(({ data }) => data);
    await hasData(second, expected);
    await hasData(third, expected);
    expect(await third.evaluate("slow")).toEqual(expected);
  });

  test("two browsers of one machine share nothing", async () => {
    const other = await browser.newContext();
    try {
      const tabs = [await open("channel=a"), await open("channel=a", "{}", other)];
      for (const tab of tabs) await hasState(tab, "open");
      expect(await Promise.all(tabs.map(holds))).toEqual([true, true]);
      expect(await streams()).toHaveLength(2);
    } finally {
      await other.close();
    }
  });
});
