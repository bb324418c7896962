/** What docs/react.md and docs/vue.md show, as it stands there, in a browser. */
import { readFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { until } from "../support/until.js";
import { bundleSnippet, type Library } from "./support/bundle.js";
import { Site } from "./support/page.js";

const available = chromiumAvailable();
const libraries: Library[] = ["react", "vue"];

/** The block of a document that holds a text. */
function snippet(library: Library, holding: string): string {
  const text = readFileSync(new URL(`../../docs/${library}.md`, import.meta.url), "utf8");
  const blocks = [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, code = ""]) => ({ language, code }));
  const found = blocks.filter(({ language, code }) => /^(jsx|vue|js)$/.test(language ?? "") && code.includes(holding));
  const [only] = found;
  if (!only || found.length > 1) throw new Error(`docs/${library}.md has ${found.length} blocks with ${holding}`);
  return only.code;
}

describe.skipIf(!available.available)("the documents, in a browser", { meta: { skipReason: available.reason } }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
  });

  describe.each(libraries)("%s", (library) => {
    const open = async (holding: string, prepare?: (site: Site) => Promise<unknown>) => {
      const code = await bundleSnippet(library, snippet(library, holding));
      return Site.open(browser, code, { url: null }, prepare && { prepare });
    };

    test("the last 50", async () => {
      const headline = (n: number) => ({ channel: "news", event: "headline", data: { title: `headline ${n}` } });
      const before = Array.from({ length: 60 }, (_, n) => headline(n));
      await using site = await open('"news"', ({ hub }) => hub.publish(before));
      await site.untilReads("news");
      await site.hub.publish(headline(60));
      const items = site.page.locator("li");
      await until("the newest is there", async () => (await items.last().textContent()) === "headline 60");
      expect(await items.allTextContents()).toEqual(Array.from({ length: 50 }, (_, n) => `headline ${n + 11}`));
      expect(site.complaints).toEqual([]);
    });

    test("toasts", async () => {
      await using site = await open('"/events?channel=notifications"');
      await site.untilReads("notifications");
      const kinds = ["success", "warning", "alert", undefined, "unheard"];
      await site.hub.publish(
        kinds.map((event) => ({ channel: "notifications", ...(event && { event }), data: { text: `a ${event}` } })),
      );
      const toasts = site.page.locator("p");
      await until("the toasts are there", async () => (await toasts.count()) === 4);
      expect(await toasts.allTextContents()).toEqual(
        ["a success", "a warning", "a alert", "a undefined"].map((text) => `${text} Close`),
      );
      expect(await site.page.locator(".message").getAttribute("role")).toBe("status");
      await until("those for a while are gone", async () => (await toasts.count()) === 1);
      expect(await toasts.getAttribute("role")).toBe("alert");
      await toasts.locator("button").click();
      await until("it is closed", async () => (await toasts.count()) === 0);
      expect(site.complaints).toEqual([]);
    });

    test("figures", async () => {
      await using site = await open('"metrics/cpu"');
      await site.untilReads("metrics/cpu,metrics/memory");
      const sample = (name: string, share: number) => ({
        channel: `metrics/${name}`,
        event: "sample",
        data: { share, time: Date.UTC(2026, 0, 1, 12) },
      });
      await site.hub.publish([sample("cpu", 0.25), sample("cpu", 0.3333), sample("memory", 0.5)]);
      const captions = site.page.locator("figcaption");
      await until("the figures are there", async () =>
        (await captions.allTextContents()).every((text) => text.includes("%")),
      );
      const [cpu, memory] = await captions.allTextContents();
      expect(cpu?.trim()).toMatch(/^Processor 33\.3% at \d+:\d\d/);
      expect(memory?.trim()).toMatch(/^Memory 50\.0% at \d+:\d\d/);
      expect(await site.page.locator("polyline").first().getAttribute("points")).toMatch(/^0,75 1,66\.67/);
      expect(await site.page.getByRole("status").textContent()).toBe("connected");
      for (const { id } of site.hub.connections()) site.hub.disconnect(id, { reconnect: false });
      await site.page.getByRole("button", { name: "Try again now" }).click();
      await site.untilReads("metrics/cpu,metrics/memory");
      await until("it is back", async () => (await site.page.getByRole("status").textContent()) === "connected");
      expect(site.requests).toHaveLength(2);
      expect(site.complaints).toEqual([]);
    });
  });

  test("vue, with the Options API", async () => {
    const code = await bundleSnippet("vue", snippet("vue", "created()"), { room: "7" });
    await using site = await Site.open(browser, code, { url: null });
    await site.untilReads("news,room/7");
    await site.hub.publish([
      { channel: "news", event: "alert", data: 1 },
      { channel: "news", event: "alert", data: 2 },
      { channel: "room/7", event: "said", data: 5 },
    ]);
    await until("it is shown", async () => (await site.page.locator("#root").textContent()) === "2 alerts5");
    expect(site.complaints).toEqual([]);
  });
});
