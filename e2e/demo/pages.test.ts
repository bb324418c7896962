/** The pages of `millrace-hub demo` that show what events are for, in a real browser. */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { type HubProcess, startHub } from "../support/hub.js";
import {
  addTab,
  beyondConnections,
  expectAllReadable,
  expectContrast,
  expectNothingSideways,
  openTab,
  type Tab,
} from "../support/page.js";
import { until } from "../support/until.js";

const available = chromiumAvailable();
const names = readdirSync(fileURLToPath(new URL("../../packages/millrace-hub/pages", import.meta.url)))
  .filter((file) => file.endsWith(".html") && file !== "index.html")
  .map((file) => file.slice(0, -".html".length));

const text = async (page: Page, selector: string) => (await page.locator(selector).first().textContent()) ?? "";
const figure = async (page: Page, id: string) => Number((await text(page, `#${id}`)).replaceAll(",", ""));
const state = (page: Page, wanted: string) =>
  until(wanted, async () => (await text(page, "#state")) === wanted, 25_000);

/** What is in the page's own part: its text, and that of fields. */
const shown = (page: Page) =>
  page.evaluate<string>(
    `document.querySelector("main").innerText + [...document.querySelectorAll("main textarea")].map((field) => field.value)`,
  );

describe.skipIf(!available.available)("the demo's pages", { meta: { skipReason: available.reason } }, () => {
  let browser: Browser;
  let hub: HubProcess;

  beforeAll(async () => {
    browser = await launchChromium();
    hub = await startHub(["demo", "--retry", "100ms"]);
  });

  afterAll(async () => {
    await browser?.close();
    await hub?.[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
  });

  async function open(name: string, tab?: Tab): Promise<Tab> {
    const opened = tab ?? (await openTab(browser, { reducedMotion: "reduce" }));
    opened.page.setDefaultTimeout(10_000);
    await opened.page.goto(`${hub.url}/${name}`);
    await state(opened.page, "live");
    return opened;
  }

  describe.each(names)("/%s", (name) => {
    test("moves by itself, says that it is simulated, and can be read on any screen", async () => {
      const { page, complaints } = await open(name);
      await until("events", async () => (await figure(page, "received")) > 0, 2_000);
      const before = await shown(page);
      await until("something that moves", async () => (await shown(page)) !== before, 8_000);
      expect(await text(page, "h1 .simulated")).toBe("simulated");
      expect(await text(page, "nav.pages a[aria-current]")).not.toBe("");
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        for (const width of [1280, 390]) {
          await page.setViewportSize({ width, height: 900 });
          await expectNothingSideways(page);
        }
        await expectAllReadable(page);
        await expectContrast(page, ["surface", "ground"], ["good", "bad", "brass"]);
      }
      expect(await figure(page, "lost")).toBe(0);
      expect(await figure(page, "doubled")).toBe(0);
      expect(complaints).toEqual([]);
    });

    test("has nothing inline, and its source can be read", async () => {
      const page = await (await fetch(`${hub.url}/${name}`)).text();
      expect(page).not.toMatch(/<style|<script(?! type="module" src=)| style=| on\w+=/);
      const source = await fetch(`${hub.url}/${name}.js`);
      expect(source.status).toBe(200);
      expect(source.headers.get("content-security-policy")).toContain("default-src 'none'");
      const script = await source.text();
      expect(script).toContain("./frame.js");
      expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
    });
  });

  test("the navigation leads to every page, and back", async () => {
    const { page, complaints } = await open("stocks");
    const links = await page.evaluate<string[]>(
      `[...document.querySelectorAll("nav.pages a")].map(({ pathname }) => pathname)`,
    );
    expect(links).toEqual(expect.arrayContaining(["/", ...names.map((name) => `/${name}`)]));
    await page.locator("nav.pages a", { hasText: "Machine" }).click();
    await until("the machine's page", async () => (await text(page, "#state-text")) === "live");
    await page.locator("nav.pages a", { hasText: "Stocks" }).click();
    await state(page, "live");
    expect(complaints).toEqual([]);
  });

  test("a restart of the hub, by its button: four tabs on one connection go on, nothing lost, nothing doubled", async () => {
    const first = await open("stocks");
    const tabs = [first];
    for (const name of ["sensors", "stocks", "scores"]) tabs.push(await open(name, await addTab(first.context)));
    for (const { page } of tabs) await until("events", async () => (await figure(page, "received")) > 0);
    // A tab that joins asks for what it has not seen by a request of its own, which may just be under way.
    await until("one connection", async () => {
      const answer = await (await fetch(`${hub.url}/connections`)).json();
      return (answer as { connections: unknown[] }).connections.length === 1;
    });
    await until("their number", async () => (await text(first.page, ".tallies div:last-child dd")) === "4");
    const before = hub.stderr().length;
    await first.page.locator("#restart").click();
    for (const { page } of tabs) await until("waiting", async () => (await text(page, "#state")) === "waiting", 5_000);
    expect(await text(first.page, "#note")).toMatch(/^The hub is away: attempt 1 (now|in \d s)\.$/);
    expect(await first.page.locator("#restart").isDisabled()).toBe(true);
    for (const { page, complaints } of tabs) {
      await state(page, "live");
      const received = await figure(page, "received");
      await until("events go on", async () => (await figure(page, "received")) > received + 5);
      expect([await figure(page, "lost"), await figure(page, "doubled")]).toEqual([0, 0]);
      expect(beyondConnections(complaints)).toEqual([]);
    }
    expect(hub.stderr().slice(before)).toMatch(/restarting.*listens on.*again/s);
    expect(await first.page.locator("#restart").isEnabled()).toBe(true);
  });

  test("a page that counts a hole and a repeat says so", async () => {
    const { page } = await open("stocks");
    const data = { symbol: "MILL", price: 1, open: 1, time: 0 };
    const publish = (n: number) =>
      fetch(`${hub.url}/publish`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ channel: "demo/stocks", event: "price", data: { ...data, n } }),
      });
    await publish(1);
    await until("the repeat", async () => (await figure(page, "doubled")) === 1);
    await publish(10_000_000);
    await until("the hole", async () => (await figure(page, "lost")) > 9_000_000);
  });
});
