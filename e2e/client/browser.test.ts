/** `connect` through all that happens to a page: in a real browser, of a real hub. */
import { startFaultServer } from "millrace/testing";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { type HubProcess, startHub } from "../support/hub.js";
import { pause, until } from "../support/until.js";
import { followIn, followingModule, type Site, startSite, type Told, told } from "./support/site.js";
import { expectEachOnce, startTicker } from "./support/ticker.js";

const available = chromiumAvailable();

describe.skipIf(!available.available)("in a browser", { meta: { skipReason: available.reason } }, () => {
  let browser: Browser;
  let context: BrowserContext;
  let hub: HubProcess;
  let site: Site;
  let tests = 0;
  let channel: string;
  let url: string;

  beforeAll(async () => {
    browser = await launchChromium([], ["--disable-back-forward-cache"]);
    hub = await startHub(["--store", "memory", "--heartbeat", "1s", "--retry", "50ms"]);
    site = await startSite();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.[Symbol.asyncDispose]();
    await hub?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    channel = `ticks/${tests++}`;
    url = `${hub.url}/events?channel=${channel}&rewind=all`;
    context = await browser.newContext();
  });
  afterEach(() => context?.close());

  async function open(options?: string): Promise<Page> {
    const page = await context.newPage();
    await page.goto(site.origin);
    await followIn(page, url, options);
    return page;
  }

  const reaches = (page: Page, count: number) =>
    until(`${count} events`, async () => (await told(page)).data.length >= count);
  const is = (page: Page, state: string) => until(`it is ${state}`, async () => (await told(page)).state === state);

  async function hasAll(page: Page, count: number): Promise<Told> {
    await reaches(page, count);
    const all = await told(page);
    expectEachOnce(all.data);
    expect([all.data.length, all.gaps]).toEqual([count, 0]);
    return all;
  }

  async function connections(): Promise<number> {
    const answer = await fetch(`${hub.url}/connections`);
    return ((await answer.json()) as { connections: { channels: string[] }[] }).connections.filter(({ channels }) =>
      channels.includes(channel),
    ).length;
  }

  test("the network goes and comes: it does not wait any longer", async () => {
    await using proxy = await startFaultServer({ target: hub.url });
    url = url.replace(hub.url, proxy.origin);
    const page = await open("{ backoff: { baseMs: 600_000, maxMs: 600_000, jitter: 0 } }");
    await using ticker = startTicker(hub.url, channel, 20);
    await reaches(page, 10);
    await context.setOffline(true);
    proxy.cut(); // the browser only refuses further requests
    await is(page, "waiting");
    const before = (await told(page)).data.length;
    await pause(300);
    expect((await told(page)).data.length).toBe(before);
    await context.setOffline(false);
    await is(page, "open");
    await hasAll(page, await ticker.stop());
  });

  test("the page goes into the browser's cache, and is back", async () => {
    const page = await open();
    await using ticker = startTicker(hub.url, channel, 20);
    await reaches(page, 10);
    await page.goto(`${site.origin}/elsewhere`);
    await until("nobody is connected", async () => (await connections()) === 0);
    await pause(300);
    // Not goBack: Playwright waits for a page that loads.
    await page.evaluate("void setTimeout(() => history.back())");
    await until("it is the page of before", () =>
      page.evaluate("location.pathname === '/' && 'told' in globalThis").catch(() => false),
    );
    await is(page, "open");
    const { states } = await hasAll(page, await ticker.stop());
    expect(states).toEqual(["connecting", "open", "waiting", "connecting", "open"]);
    expect(await connections()).toBe(1);
  });

  test("a page that is hidden for longer than hiddenMs is not connected, and has all when it is looked at", async () => {
    const page = await open("{ hiddenMs: 200 }");
    await using ticker = startTicker(hub.url, channel, 20);
    await reaches(page, 10);
    // No tab of a browser without a window is ever hidden.
    const show = (state: string) =>
      page.evaluate(`Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))`);
    await show("hidden");
    await show("visible");
    await pause(400);
    expect((await told(page)).states).toEqual(["connecting", "open"]);
    await show("hidden");
    await until("nobody is connected", async () => (await connections()) === 0);
    await show("visible");
    await is(page, "open");
    await hasAll(page, await ticker.stop());
  });

  test.each([
    ["sessionStorage", '"cursor"'],
    ["localStorage", '{ key: "cursor", store: localStorage }'],
  ])(
    "reloads in the middle of events, with the cursor in %s: nothing is lost, and nothing comes twice",
    async (_, persist) => {
      const page = await context.newPage();
      await page.addInitScript(`(async () => {
      const { connect } = await import("/millrace/client/index.js");
      const stream = connect(${JSON.stringify(url)}, { persist: ${persist} });
      stream.on("message", ({ data }) => localStorage.setItem("all", (localStorage.getItem("all") ?? "") + data + " "));
    })()`);
      const all = async () =>
        ((await page.evaluate<string | null>("localStorage.getItem('all')")) ?? "")
          .trim()
          .split(" ")
          .filter(Boolean)
          .map(Number);
      await page.goto(site.origin);
      await using ticker = startTicker(hub.url, channel, 5);
      for (let reloads = 0; reloads < 8; reloads++) {
        const before = (await all()).length;
        await until("further events", async () => (await all()).length > before + 5);
        await page.reload();
      }
      const count = await ticker.stop();
      await until("the last event", async () => (await all()).length >= count);
      expectEachOnce(await all());
      expect(await all()).toHaveLength(count);
    },
  );

  describe("in a worker", () => {
    /** Asks the worker for what it was told, as `told()` of the page. */
    const workers = {
      dedicated: `const worker = new Worker("/worker.js", { type: "module" });
        const ask = (port) => worker.postMessage(0, [port]);`,
      shared: `const worker = new SharedWorker("/worker.js", { type: "module" });
        const ask = (port) => worker.port.postMessage(0, [port]);`,
      service: `const registration = await navigator.serviceWorker.register("/worker.js", { type: "module" });
        const { active } = await navigator.serviceWorker.ready;
        const ask = (port) => active.postMessage(0, [port]);`,
    };
    const answering = `
      const answer = ({ ports }) => ports[0].postMessage(told());
      globalThis.onmessage = answer;
      globalThis.onconnect = ({ ports }) => { ports[0].onmessage = answer; };
    `;

    test.each(Object.entries(workers))("%s", async (_, create) => {
      await using ours = await startSite({ "/worker.js": followingModule(url) + answering });
      const page = await context.newPage();
      await page.goto(ours.origin);
      await page.evaluate(`(async () => {
        ${create}
        globalThis.told = () => new Promise((resolve) => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = ({ data }) => resolve(data);
          ask(port2);
        });
      })()`);
      await using ticker = startTicker(hub.url, channel, 20);
      await reaches(page, 20);
      await hasAll(page, await ticker.stop());
    });
  });

  test("the import touches nothing global, and works where the policy is strict", async () => {
    await using strict = await startSite(
      {},
      {
        "content-security-policy": `default-src 'none'; script-src 'self'; connect-src ${hub.url}; require-trusted-types-for 'script'; trusted-types 'none'`,
      },
    );
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(strict.origin);
    const touched = await page.evaluate(`(async () => {
      const names = (of) => Object.getOwnPropertyNames(of).join();
      const look = () => [names(globalThis), ...Object.getOwnPropertyNames(globalThis)
        .map((name) => { try { return globalThis[name]?.prototype; } catch { return undefined; } })
        .filter(Boolean).map(names), document.cookie, localStorage.length, sessionStorage.length];
      const calls = [];
      for (const [of, name] of [[EventTarget.prototype, "addEventListener"], [globalThis, "setTimeout"],
        [globalThis, "setInterval"], [globalThis, "fetch"], [globalThis, "queueMicrotask"]]) {
        const before = of[name];
        of[name] = function (...given) { calls.push(name); return before.apply(this, given); };
      }
      const before = look();
      await import("/millrace/client/index.js");
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const after = look();
      return [...calls, ...after.filter((names, at) => names !== before[at])];
    })()`);
    expect(touched).toEqual([]);
    await followIn(page, url);
    await using ticker = startTicker(hub.url, channel, 20);
    await reaches(page, 5);
    await hasAll(page, await ticker.stop());
    expect(complaints).toEqual([]);
  });
});
