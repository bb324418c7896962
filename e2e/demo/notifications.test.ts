/** The demo's notifications in a real browser: what is shown how, and to whom. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { type HubProcess, startHub } from "../support/hub.js";
import { openTab } from "../support/page.js";
import { until } from "../support/until.js";

const available = chromiumAvailable();

describe.skipIf(!available.available)("the demo's notifications", { meta: { skipReason: available.reason } }, () => {
  let browser: Browser;
  let hub: HubProcess;

  beforeAll(async () => {
    browser = await launchChromium();
    hub = await startHub(["demo"]);
  });

  afterAll(async () => {
    await browser?.close();
    await hub?.[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
  });

  async function open() {
    const { page, complaints } = await openTab(browser);
    page.setDefaultTimeout(15_000);
    await page.goto(`${hub.url}/notifications`);
    // By the first toast: what comes before it was there when the page was opened.
    await until("a toast", async () => (await page.locator(".notice").count()) > 0);
    await page.locator("#quiet").check();
    const send = async (kind: string, message: string) => {
      await page.locator("#message").fill(message);
      await page.locator("#send").getByRole("button", { name: kind, exact: true }).click();
    };
    const shown = (where: string, message: string) => page.locator(`${where} .notice`, { hasText: message });
    return { page, complaints, send, shown };
  }

  test("toasts go by themselves, an error stays until it is dismissed", async () => {
    const { page, complaints, send, shown } = await open();
    for (const kind of ["success", "warning", "social"]) {
      await send(kind, `this is ${kind}`);
      await until(kind, async () => (await shown("#toasts", `this is ${kind}`).count()) === 1);
      expect(await shown("#toasts", `this is ${kind}`).getAttribute("class")).toBe(`notice ${kind}`);
    }
    await send("unknown", "of no kind");
    await until("it as info", async () => (await shown("#toasts", "of no kind").count()) === 1);
    expect(await shown("#toasts", "of no kind").getAttribute("class")).toBe("notice info");
    await send("error", "it failed");
    await send("error", "it failed");
    await until("an alert", async () =>
      ((await shown("#alerts", "it failed").textContent()) ?? "").includes("2 times"),
    );
    expect(await shown("#alerts", "it failed").getAttribute("role")).toBe("alert");
    await page.mouse.move(1, 1);
    await page.locator("h1").click();
    await until("the toasts gone", async () => (await shown("#toasts", "this is").count()) === 0, 20_000);
    expect(await shown("#alerts", "it failed").count()).toBe(1);
    await shown("#alerts", "it failed").getByRole("button", { name: "Dismiss: it failed" }).click();
    expect(await shown("#alerts", "it failed").count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test("to oneself is to nobody else, to everyone is to all", async () => {
    const one = await open();
    const other = await open();
    const past = (page: typeof one.page, message: string) => page.locator("#past li", { hasText: message });
    await one.send("success", "for me alone");
    await one.page.locator("[value=all]").check();
    await one.send("success", "for everyone");
    for (const { page } of [one, other]) {
      await until("the one for all", async () => (await past(page, "for everyone").count()) === 1);
    }
    expect(await past(one.page, "for me alone").textContent()).toContain("to you alone");
    expect(await past(other.page, "for me alone").count()).toBe(0);
  });

  test("markup is text, and what is none is left out", async () => {
    const { page, complaints } = await open();
    const markup = "<img src=x onerror=alert(1)>";
    const events = [null, {}, { message: 7 }, { type: "__proto__", message: markup }];
    const answer = await fetch(`${hub.url}/publish`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(events.map((data) => ({ channel: "demo/notifications", event: "notification", data }))),
    });
    expect(answer.status).toBe(200);
    await until("it", async () => (await page.locator("#past .info", { hasText: markup }).count()) === 1);
    expect(await page.locator("main img").count()).toBe(0);
    expect(complaints).toEqual([]);
  });
});
