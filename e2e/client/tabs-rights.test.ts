/** Tabs that share a connection, and do not all have the same rights, wishes or abilities. */

import { createHub, type Identity, type Millrace, type Refusal } from "millrace";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { until } from "../support/until.js";
import { dataOf, hasData, hasState, holds, openTab, seenBy, servePages } from "./support/tabs.js";

const available = chromiumAvailable();

describe.skipIf(!available.available)("tabs", { meta: { skipReason: available.reason } }, () => {
  let browser: Browser;
  let context: BrowserContext;
  let hub: Millrace;
  let pages: Awaited<ReturnType<typeof servePages>>;
  /** Tokens that are refused. */
  let refused: Set<string>;
  let sum: number;

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    refused = new Set(["bad"]);
    sum = 0;
    hub = createHub({
      heartbeatMs: 500,
      retryMs: 20,
      authorize: (request, { channels }): Identity | Refusal => {
        const token = request.header("authorization")?.slice("Bearer ".length) ?? "";
        if (refused.has(token)) return { refuse: 401, reason: "the token is none" };
        if (channels.includes("secret") && token !== "chief") return { refuse: 403, reason: "it is a secret" };
        return {};
      },
    });
    pages = await servePages((request, response) => {
      if (request.url === "/state") {
        response.end(JSON.stringify({ position: hub.position(), data: sum }));
      } else if (request.url?.startsWith("/plain")) {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write('data: "hello"\n\n');
      } else hub.listener(request, response);
    });
    context = await browser.newContext();
  });
  afterEach(async () => {
    await context?.close();
    await hub?.close({ drainMs: 0 });
    pages?.close();
  });
  const open = (query: string, options?: string, more?: string, path = "events") =>
    openTab(context, pages.origin, `/${path}?${query}`, options, more);
  const token = (name: string) => `{ headers: { authorization: "Bearer ${name}" } }`;
  const streams = () => [...hub.connections()].filter(({ transport }) => transport !== "poll");

  test("one whose token is refused is closed, and disturbs no other", async () => {
    const first = await open("channel=a", token("bad"));
    await hasState(first, "closed");
    expect((await seenBy(first)).status.error).toMatchObject({ status: 401 });
    const second = await open("channel=a", token("ann"));
    const third = await open("channel=a", token("bad"));
    await hasState(second, "open");
    await hasState(third, "closed");
    expect((await seenBy(third)).status.error?.message).toContain("the token is none");
    await hub.publish({ channel: "a", data: 1 });
    await hasData(second, [1]);
    expect(streams()).toHaveLength(1);
  });

  test("when the holder's token is no longer taken, another one goes on with its own", async () => {
    const first = await open("channel=a&rewind=all", token("ann"));
    const second = await open("channel=a&rewind=all", token("bob"));
    for (const tab of [first, second]) await hasState(tab, "open");
    await hub.publish({ channel: "a", data: 1 });
    for (const tab of [first, second]) await hasData(tab, [1]);
    refused.add("ann");
    hub.disconnect(streams()[0] as typeof streams extends () => (infer S)[] ? S : never);
    await hub.publish({ channel: "a", data: 2 });
    await hasState(first, "closed");
    expect((await seenBy(first)).status.error).toMatchObject({ status: 401 });
    await hasData(second, [1, 2]);
    expect(await holds(second)).toBe(true);
  });

  test("one that may read more than the holder has a connection of its own", async () => {
    const first = await open("channel=a", token("ann"));
    await hasState(first, "open");
    const chief = await open("channel=a&channel=secret", token("chief"));
    const nosy = await open("channel=a&channel=secret", token("bob"));
    await hasState(chief, "open");
    await hasState(nosy, "closed");
    expect((await seenBy(nosy)).status.error?.message).toContain("it is a secret");
    await hub.publish([
      { channel: "a", data: 1 },
      { channel: "secret", data: 2 },
    ]);
    await hasData(chief, [1, 2]);
    await hasData(first, [1]);
    expect(streams()).toHaveLength(2);
    // A channel that cannot be added leaves everything as it was.
    const said = await first.evaluate('stream.add("secret").catch((error) => error.status + " " + stream.channels)');
    expect(said).toBe("403 a");
    await hub.publish({ channel: "a", data: 3 });
    await hasData(first, [1, 3]);
  });

  test("channels are added and dropped without a reconnection", async () => {
    const first = await open("channel=a");
    const second = await open("channel=a");
    for (const tab of [first, second]) await hasState(tab, "open");
    const [stream] = streams();
    await second.evaluate('stream.add("b", "c")');
    await hub.publish(["a", "b", "c"].map((channel, data) => ({ channel, data })));
    await hasData(second, [0, 1, 2]);
    await second.evaluate('Promise.all([stream.drop("b"), stream.add("d"), stream.drop("a")])');
    await hub.publish(["a", "b", "c", "d"].map((channel, data) => ({ channel, data })));
    await hasData(second, [0, 1, 2, 2, 3]);
    await hasData(first, [0, 0]);
    await until("what nobody reads is dropped", () => stream?.channels.toSorted().join() === "a,c,d");
    expect(streams()).toEqual([stream]);
  });

  test("a snapshot and what follows it have no seam, in any tab", async () => {
    let stop = false;
    const publishing = (async () => {
      while (!stop) {
        // A state and the position that it is true at are read together: see `/state`.
        await hub.publish({ channel: "sum", data: 1 });
        sum++;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const tabs: Page[] = [];
    for (let at = 0; at < 4; at++) {
      tabs.push(
        await open(
          "channel=sum",
          '{ snapshot: async (signal) => (await fetch("/state", { signal })).json() }',
          `stream.on("snapshot", ({ data }) => { globalThis.shown = data; });
           stream.on("message", ({ data }) => { globalThis.shown += data; })`,
        ),
      );
      if (at === 2) await tabs[0]?.close({ runBeforeUnload: true });
    }
    const shown = () => Promise.all(tabs.slice(1).map((tab) => tab.evaluate("globalThis.shown")));
    await until("the tabs show something", async () => (await shown()).every((value) => typeof value === "number"));
    for (const stream of streams()) hub.disconnect(stream);
    await until("the connection is back", () => streams().length === 1);
    stop = true;
    await publishing;
    let last: unknown[] = [];
    await until(
      () => `all tabs show ${sum}: it is ${last}`,
      async () => {
        last = await shown();
        return last.every((value) => value === sum);
      },
    );
  });

  test("of a key's values none is followed by an older one", async () => {
    let stop = false;
    let value = 0;
    const publishing = (async () => {
      while (!stop) {
        await hub.publish({ channel: "price", key: "x", data: ++value });
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const tabs: Page[] = [];
    for (let at = 0; at < 3; at++) {
      tabs.push(await open("channel=price&rewind=all&every=20ms"));
      const before = value;
      await until("values change", () => value > before + 20);
    }
    for (const stream of streams()) hub.disconnect(stream);
    await until("the connection is back", () => streams().length === 1);
    stop = true;
    await publishing;
    for (const tab of tabs) {
      await until("the last value", async () => (await dataOf(tab)).at(-1) === value);
      const values = (await dataOf(tab)) as number[];
      expect(values).toEqual([...new Set(values)].sort((a, b) => a - b));
    }
  });

  test("a run that ends closes the tabs that follow nothing else", async () => {
    const tabs = [
      await open("channel=a"),
      await open("channel=answers/1&rewind=all"),
      await open("channel=answers/1&rewind=all"),
    ];
    for (const tab of tabs) await hasState(tab, "open");
    await hub.run("answers/1", async (run) => {
      for (const data of [1, 2]) await run.send({ data });
    });
    for (const tab of tabs.slice(1)) {
      await hasState(tab, "closed");
      await hasData(tab, [1, 2, { status: "done" }]);
      expect((await seenBy(tab)).status.error).toBeUndefined();
    }
    await until("the run is followed no longer", () => streams()[0]?.channels.join() === "a");
  });

  test("the holder is told not to come back: it is closed, and another one goes on", async () => {
    const first = await open("channel=a");
    const second = await open("channel=a");
    for (const tab of [first, second]) await hasState(tab, "open");
    for (const stream of streams()) hub.disconnect(stream, { reconnect: false, reason: "enough" });
    await hasState(first, "closed");
    expect((await seenBy(first)).status).toMatchObject({ reason: "enough" });
    await until("the other one holds it", () => holds(second));
    await hasState(second, "open");
    await hub.publish({ channel: "a", data: 1 });
    await hasData(second, [1]);
  });

  test("a hub that stays away is given up by one tab after the other", async () => {
    const options = "{ backoff: { baseMs: 10, maxMs: 20, attempts: 3 } }";
    const more = 'globalThis.gaveUp = 0; stream.on("gaveup", () => { globalThis.gaveUp++; })';
    const tabs = [await open("channel=a", options, more), await open("channel=b", options, more)];
    for (const tab of tabs) await hasState(tab, "open");
    await context.route(/\/events/, (route) => route.abort());
    for (const stream of streams()) hub.disconnect(stream);
    for (const tab of tabs) {
      await hasState(tab, "closed");
      expect(await tab.evaluate("globalThis.gaveUp")).toBe(1);
      expect((await seenBy(tab)).status.error?.message).toBeTruthy();
    }
  });

  test("close() lets go of the connection, and of the tab", async () => {
    const tabs = [await open("channel=a"), await open("channel=a"), await open("channel=a")];
    for (const tab of tabs) await hasState(tab, "open");
    for (const [at, tab] of tabs.entries()) {
      await tab.evaluate("stream.close()");
      await hub.publish({ channel: "a", data: at });
      expect((await seenBy(tab)).status.state).toBe("closed");
      for (const other of tabs.slice(at + 1)) {
        await until("it goes on", async () => (await dataOf(other)).at(-1) === at);
      }
      expect(await tab.evaluate("navigator.locks.query().then(({ held }) => held.length)")).toBe(at === 2 ? 0 : 3 - at);
    }
    await until("nobody is connected", () => streams().length === 0);
    expect(await dataOf(tabs[2] as Page)).toEqual([0, 1]);
  });

  test("reconnect() of any tab ends the holder's wait", async () => {
    const slow = "{ backoff: { baseMs: 60_000, jitter: 0 } }";
    const tabs = [await open("channel=a", slow), await open("channel=a", slow)];
    for (const tab of tabs) await hasState(tab, "open");
    for (const stream of streams()) hub.disconnect(stream);
    for (const tab of tabs) await hasState(tab, "waiting");
    await (tabs[1] as Page).evaluate("stream.reconnect()");
    for (const tab of tabs) await hasState(tab, "open");
  });

  test("without locks, and with a server that is no hub, each has a connection of its own", async () => {
    const tabs = [await open("", "{}", "", "plain"), await open("", "{}", "", "plain")];
    for (const tab of tabs) await until("an event", async () => (await dataOf(tab)).length > 0);
    for (const tab of tabs) expect((await seenBy(tab)).status.tabs).toBeUndefined();
    await context.addInitScript("delete Navigator.prototype.locks");
    const own = [await open("channel=a"), await open("channel=a")];
    for (const tab of own) await hasState(tab, "open");
    expect(streams()).toHaveLength(2);
    await hub.publish({ channel: "a", data: 1 });
    for (const tab of own) await hasData(tab, [1]);
  });
});
