/** The demo's chat in a real browser. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { type HubProcess, startHub } from "../support/hub.js";
import { openTab } from "../support/page.js";
import { until } from "../support/until.js";

const available = chromiumAvailable();

describe.skipIf(!available.available)("the demo's chat", { meta: { skipReason: available.reason } }, () => {
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

  async function open(url = hub.url) {
    const { page, complaints } = await openTab(browser);
    page.setDefaultTimeout(15_000);
    await page.goto(`${url}/chat`);
    await until("messages", async () => (await page.locator("#messages li").count()) > 0);
    const said = (text: string) => page.locator("#messages .text").getByText(text, { exact: true });
    const say = async (text: string) => {
      await page.locator("#text").fill(text);
      await page.locator("#text").press("Enter");
    };
    return { page, complaints, said, say };
  }

  test("a message appears in each window once, as the text that it is", async () => {
    const one = await open();
    const other = await open();
    const markup = '<img src=x onerror="document.title=1"><b>bold</b>';
    await one.page.locator("#name").fill("<i>Ada</i>");
    await one.say(markup);
    await one.say("and another");
    for (const { said } of [one, other]) {
      await until("both messages", async () => (await said("and another").count()) > 0);
      expect(await said(markup).count()).toBe(1);
      expect(await said("and another").count()).toBe(1);
    }
    expect(await other.page.locator("#messages .who", { hasText: "<i>Ada</i>" }).count()).toBe(2);
    expect(await one.page.locator("#messages .own").count()).toBe(2);
    expect(await other.page.locator("#messages .own").count()).toBe(0);
    expect(await other.page.locator("#messages :is(img, i, .text b)").count()).toBe(0);
    const newcomer = await open();
    expect(await newcomer.said(markup).count()).toBe(1);
    for (const { complaints } of [one, other]) expect(complaints).toEqual([]);
  });

  test("keeps the last fifty, of whoever publishes what", async () => {
    const { page, said, complaints } = await open();
    const odd = [null, "text", { text: 7 }, { text: "" }, { text: "x".repeat(9_000), name: ["n"] }];
    const many = Array.from({ length: 80 }, (_, at) => ({ name: "curl", text: `message ${at}` }));
    const answer = await fetch(`${hub.url}/publish`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify([...odd, ...many].map((data) => ({ channel: "demo/chat", event: "message", data }))),
    });
    expect(answer.status).toBe(200);
    await until("the last message", async () => (await said("message 79").count()) === 1);
    expect(await page.locator("#messages li").count()).toBe(50);
    expect(await said("message 29").count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test("says why a message was not sent, and keeps it", async () => {
    await using closed = await startHub(["demo", "--api-key", "secret"]);
    const { page, say } = await open(closed.url);
    await say("hello");
    await until("the reason", async () => /API key/.test((await page.locator("#problem").textContent()) ?? ""));
    expect(await page.locator("#text").inputValue()).toBe("hello");
  });
});
