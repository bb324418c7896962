/** The document that all visitors write, in a real browser. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { type HubProcess, startHub } from "../support/hub.js";
import { addTab, beyondConnections, openTab, type Tab } from "../support/page.js";
import { until } from "../support/until.js";

const available = chromiumAvailable();

describe.skipIf(!available.available)("the demo's document", { meta: { skipReason: available.reason } }, () => {
  let browser: Browser;
  let hub: HubProcess;

  beforeAll(async () => {
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser?.close();
  });

  beforeEach(async () => {
    hub = await startHub(["demo", "--retry", "100ms"]);
  });

  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await hub[Symbol.asyncDispose]();
  });

  /** A visitor of their own, or a further tab of one: tabs of a visitor share a connection. */
  async function open(tab?: Tab) {
    const { context, page, complaints } = tab ?? (await openTab(browser, { reducedMotion: "reduce" }));
    page.setDefaultTimeout(30_000);
    await page.goto(`${hub.url}/document`);
    const editor = page.locator("#editor");
    await until("the text", async () => (await editor.inputValue()) !== "" && (await editor.isEditable()));
    return { context, page, editor, complaints };
  }

  const value = (page: Page) => page.locator("#editor").inputValue();
  const words = (writer: string, count: number) => Array.from({ length: count }, (_, at) => `${writer}${at}👩‍🚀`);
  const shared = (page: Page) =>
    until("all shared", async () => (await page.locator("#saved").textContent()) === "all shared", 20_000);
  const times = (text: string, word: string) => text.split(word).length - 1;

  /** All pages show one text. Somebody simulated goes on writing, so they are looked at again and again. */
  async function expectSame(pages: Page[]): Promise<string> {
    for (const page of pages) await shared(page);
    let texts: string[] = [];
    await until(
      () => `one text:\n${texts.join("\n---\n")}`,
      async () => {
        texts = await Promise.all(pages.map(value));
        return new Set(texts).size === 1;
      },
    );
    return texts[0] as string;
  }

  test("two who type at once, over a restart of the hub, lose nothing and come to the same", async () => {
    const one = await open();
    const other = await open();
    await one.editor.press("Control+End");
    await other.editor.press("Control+Home");
    const [ones, others] = [words("one", 25), words("other", 25)];
    const typing = [
      one.editor.pressSequentially(`${ones.join(" ")} `, { delay: 20 }),
      other.editor.pressSequentially(`${others.join(" ")} `, { delay: 20 }),
    ];
    await until("the first words of the other", async () => (await value(one.page)).includes("other3👩‍🚀"));
    await one.page.locator("#restart").dispatchEvent("click");
    await until("the restart", () => / listens on .* again/.test(hub.stderr()), 20_000);
    await Promise.all(typing);

    const text = await expectSame([one.page, other.page]);
    // Each word in one piece, too: a caret stays where it was while others type.
    for (const word of [...ones, ...others]) expect(times(text, word), `${word} in ${text}`).toBe(1);
    const newcomer = await open();
    const second = await open(await addTab(one.context));
    await expectSame([newcomer.page, second.page, one.page, other.page]);
    for (const { page, complaints } of [one, other, newcomer, second]) {
      expect(await page.locator("#lost").textContent()).toBe("0");
      expect(beyondConnections(complaints)).toEqual([]);
    }
  });

  test("what is typed while the hub is away goes out when it is back, once, also after kill -9", async () => {
    const { page, editor } = await open();
    await editor.press("Control+End");
    await editor.pressSequentially("before ");
    await shared(page);
    const { cwd, url } = hub;
    hub.kill("SIGKILL");
    await hub.exited;
    await editor.pressSequentially("away ");
    expect(await page.locator("#saved").textContent()).not.toBe("all shared");
    hub = await startHub(["demo", "--retry", "100ms", "--port", new URL(url).port], { cwd });
    await editor.pressSequentially("after");
    const newcomer = await open();
    const text = await expectSame([page, newcomer.page]);
    expect(times(text, "before away after")).toBe(1);
  });

  test("what strangers publish breaks nobody, and is text and nothing else", async () => {
    const { page, editor, complaints } = await open();
    const state = (await (await fetch(`${hub.url}/demo/document`)).json()) as { era: string; version: number };
    const markup = "<img src=x onerror=alert(1)>";
    const edit = { author: "stranger", name: markup, count: 1, era: state.era, base: state.version };
    const edits = [
      ...[null, [], 7, "edit", {}, { ...edit }, { ...edit, change: [1e9, "x"] }, { ...edit, change: ["\u0000"] }],
      ...[
        { ...edit, change: ["x".repeat(100_000)] },
        { ...edit, base: -1, change: ["x"] },
      ],
      { ...edit, change: [markup] },
    ];
    for (const data of edits) {
      const answer = await fetch(`${hub.url}/publish`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ channel: "demo/document", event: "edit", data }),
      });
      expect(answer.status).toBe(200);
    }
    await until("the stranger", async () => (await page.locator("#writers").textContent())?.includes("<img"));
    expect((await value(page)).startsWith(markup)).toBe(true);
    expect(await page.locator("main img").count()).toBe(0);
    await editor.press("Control+End");
    await editor.pressSequentially("still here");
    const newcomer = await open();
    expect(await expectSame([page, newcomer.page])).toContain("still here");
    expect(complaints).toEqual([]);
  });

  test("a hub that wants an API key says so on the page", async () => {
    await hub[Symbol.asyncDispose]();
    hub = await startHub(["demo", "--api-key", "secret"]);
    const { page, editor } = await open();
    await editor.pressSequentially("x");
    await until("the reason", async () => /API key/.test((await page.locator("#problem").textContent()) ?? ""));
  });
});
