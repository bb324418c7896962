/** The page of `millrace-hub demo`, in a real browser. */
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "./support/chromium.js";
import { runCommand } from "./support/command.js";
import { type HubProcess, startHub } from "./support/hub.js";
import { beyondConnections, expectContrast, expectNothingSideways, openTab } from "./support/page.js";
import { until } from "./support/until.js";

const available = chromiumAvailable();

describe.skipIf(!available.available)("the demo's page", { meta: { skipReason: available.reason } }, () => {
  let browser: Browser;
  let hub: HubProcess;
  let context: BrowserContext;
  let page: Page;
  /** What the browser complained about. */
  let complaints: string[];

  beforeAll(async () => {
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser?.close();
  });

  beforeEach(async () => {
    hub = await startHub(["demo", "--retry", "100ms"]);
    await open();
  });

  afterEach(async () => {
    await context?.close();
    await hub?.[Symbol.asyncDispose]();
  });

  async function open(options: Parameters<Browser["newContext"]>[0] = {}) {
    await context?.close();
    ({ context, page, complaints } = await openTab(browser, options));
    await page.goto(hub.url);
    await state("live");
  }

  const text = async (selector: string) => (await page.locator(selector).first().textContent()) ?? "";
  const state = (wanted: string) => until(wanted, async () => (await text("#state-text")) === wanted, 25_000);
  const rows = (channel: string) =>
    page.locator("#events li", { has: page.locator(".channel", { hasText: new RegExp(`^${channel}$`) }) });
  const dataOf = (channel: string) => rows(channel).locator(".data").allTextContents();

  /** Publishes on `general`, as the page says how. */
  async function publish(body: object): Promise<void> {
    const json = ["-H", "content-type: application/json", "-d", JSON.stringify(body)];
    const { code, stderr } = await runCommand("curl", ["-sSf", "-X", "POST", `${hub.url}/publish`, ...json]);
    expect(code, stderr).toBe(0);
  }

  test("plots live figures", async () => {
    const figures = ["cpu", "memory", "load1", "received", "delay", "connections", "requests", "deliveries"];
    for (const figure of figures) {
      await until(`a figure of ${figure}`, async () => /\d/.test(await text(`[data-figure="${figure}"]`)));
    }
    await until("its own connection", async () => (await text('[data-figure="connections"]')) === "1");
    // Figures come once a second; the mean delay, in hundredths of a millisecond, is seldom twice the same.
    const seen = new Set<string | null>();
    const drawn = new Set<string | null>();
    await until("values that change", async () => {
      seen.add(await text('[data-figure="delay"]'));
      drawn.add(await page.locator('canvas[data-chart="delay"]').getAttribute("aria-label"));
      return seen.size >= 3 && drawn.size >= 3;
    });
    for (const chart of await page.locator("canvas[data-chart]").all()) {
      expect(await chart.getAttribute("aria-label")).toMatch(/: now .*\d/);
    }
    const painted = await page.evaluate<boolean[]>(
      `[...document.querySelectorAll("canvas[data-chart]")].map((canvas) =>
        canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value !== 0))`,
    );
    expect(painted).toEqual(Array(8).fill(true));
    expect(await text("#received")).toMatch(/\d/);
    expect(complaints).toEqual([]);
  });

  test("shows an event that curl publishes on general, markup as the text that it is", async () => {
    const markup = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    await publish({ event: "<b>bold</b>", data: markup });
    await publish({ data: { nested: ["<i>json</i>"] } });
    await until("both events", async () => (await rows("general").count()) === 2);
    expect(await dataOf("general")).toEqual(['{"nested":["<i>json</i>"]}', markup]);
    expect(await rows("general").locator(".event").allTextContents()).toEqual(["message", "<b>bold</b>"]);
    expect(await page.locator("#events img, #events script, #events b, #events i").count()).toBe(0);
    expect(await page.title()).toBe("Millrace");
    expect(complaints).toEqual([]);
  });

  test("keeps the last 50 events", async () => {
    const batch = Array.from({ length: 120 }, (_, at) => ({ data: `event ${at + 1}` }));
    await publish(batch);
    await page.locator("#with-system").uncheck();
    await until("the last event", async () => (await dataOf("general"))[0] === "event 120");
    expect(await page.locator("#events li").count()).toBe(50);
    expect(await dataOf("general")).toEqual(
      batch
        .slice(-50)
        .map(({ data }) => data)
        .reverse(),
    );
    await page.locator("#with-system").check();
    await until("system events too", async () => (await rows("system").count()) > 0);
    expect(await page.locator("#events li").count()).toBe(50);
  });

  test("shows what came before it was opened", async () => {
    await publish({ data: "early" });
    await open();
    await until("the early event", async () => (await dataOf("general")).includes("early"));
  });

  test("survives kill -9 and a new start, and shows each event once", async () => {
    const port = new URL(hub.url).port;
    await publish({ data: "before" });
    await until("the first event", async () => (await dataOf("general")).length === 1);
    const { cwd } = hub;
    hub.kill("SIGKILL");
    await hub.exited;
    await state("reconnecting");
    const restarted = await startHub(["demo", "--retry", "100ms", "--port", port], { cwd });
    try {
      await publish({ data: "while it was away" });
      await state("live");
      await publish({ data: "after" });
      await until("all three", async () => (await dataOf("general")).includes("after"));
      expect(await dataOf("general")).toEqual(["after", "while it was away", "before"]);
      const ids = await page.locator("#events li .id").allTextContents();
      expect(new Set(ids).size).toBe(ids.length);
      expect(beyondConnections(complaints)).toEqual([]);
    } finally {
      await context.close();
      await restarted[Symbol.asyncDispose]();
    }
  });

  test("comes back when it is told to, and not when it is told not to", async () => {
    const connections = async () =>
      ((await (await fetch(`${hub.url}/connections`)).json()) as { connections: { id: string }[] }).connections;
    const [first] = await connections();
    await fetch(`${hub.url}/connections/${first?.id}`, { method: "DELETE" });
    await until("another connection", async () => {
      const [second] = await connections();
      return second !== undefined && second.id !== first?.id;
    });
    await state("live");
    expect((await dataOf("hub")).join()).toMatch(/it is opened again/);
    const [second] = await connections();
    await fetch(`${hub.url}/connections/${second?.id}?reconnect=false`, { method: "DELETE" });
    await state("ended");
    expect(await text("#hint")).toMatch(/Reload the page/);
    await until("the notice", async () => /^The hub has ended/.test((await dataOf("hub"))[0] ?? ""));
    // Longer than the browser, told to come back after 0.1 to 0.2 s, would wait.
    await page.waitForTimeout(1_000);
    expect(await connections()).toEqual([]);
    expect(await text("#state-text")).toBe("ended");
    expect(complaints).toEqual([]);
  });

  test("says why it gets no stream", async () => {
    await context.close();
    await hub[Symbol.asyncDispose]();
    hub = await startHub(["demo", "--host", "0.0.0.0", "--api-key", "secret"]);
    context = await browser.newContext();
    page = await context.newPage();
    await page.goto(`http://127.0.0.1:${new URL(hub.url).port}`);
    await until("the reason", async () => /subscribe needs the API key/.test(await text("#hint")));
    expect(await text("#state-text")).toBe("reconnecting");
  });

  test("is served with a strict policy", async () => {
    for (const path of ["/", "/app.js", "/style.css", "/icon.svg"]) {
      const { status, headers } = await fetch(`${hub.url}${path}`);
      expect(status).toBe(200);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/unsafe|\*|data:|https?:/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
    expect(await (await fetch(hub.url)).text()).not.toMatch(/<style|<script(?! type="module" src=)| style=| on\w+=/);
    const nothing = await fetch(`${hub.url}/nothing`);
    expect(nothing.status).toBe(404);
    expect(await nothing.json()).toMatchObject({ status: 404, code: "not_found" });
    expect((await fetch(`${hub.url}/..%2fpackage.json`)).status).toBe(404);
  });

  describe.each([
    [1280, 900],
    [390, 844],
  ])("%i pixels wide", (width, height) => {
    test.each(["light", "dark"] as const)(
      "%s: nothing scrolls sideways, and everything can be read",
      async (scheme) => {
        await open({ viewport: { width, height }, colorScheme: scheme });
        const long = "a-very-long-word-without-a-blank-".repeat(12);
        await publish({ event: "e".repeat(60), data: long });
        await publish({ data: "Hello from curl" });
        await until("figures and the events", async () => {
          const cpu = await text('[data-figure="cpu"]');
          return /\d/.test(cpu) && (await dataOf("general")).length === 2;
        });
        await expectNothingSideways(page);
        await expectContrast(page, ["surface", "ground"], ["ink", "muted", "water", "brass", "good", "bad"]);
        // For eyes: where it is set, pictures are left there.
        const folder = process.env.MILLRACE_SCREENSHOTS;
        if (folder) {
          await page.waitForTimeout(8_000);
          await page.screenshot({ path: `${folder}/demo-${width}-${scheme}.png`, fullPage: true });
        }
        expect(complaints).toEqual([]);
      },
    );
  });
});
