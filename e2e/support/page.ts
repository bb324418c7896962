import type { Browser, BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";

/** A tab, and what the browser has complained about in it. */
export interface Tab {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly complaints: string[];
}

/** A tab of a context of its own, as another visitor has it. */
export async function openTab(browser: Browser, options: Parameters<Browser["newContext"]>[0] = {}): Promise<Tab> {
  return addTab(await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options }));
}

/** A further tab of the same visitor. */
export async function addTab(context: BrowserContext): Promise<Tab> {
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  // A violation of the policy that script can see; the console has it too.
  await page.addInitScript(
    'document.addEventListener("securitypolicyviolation", (violation) => console.error(violation.violatedDirective))',
  );
  return { context, page, complaints };
}

/** Without what the browser itself says of a hub that is away. */
export const beyondConnections = (complaints: readonly string[]): string[] =>
  complaints.filter(
    (complaint) =>
      !/net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)/.test(complaint),
  );

export async function expectNothingSideways(page: Page): Promise<void> {
  const [scrollWidth = 0, clientWidth = 0] = await page.evaluate<number[]>(
    "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
  );
  expect(scrollWidth).toBeLessThanOrEqual(clientWidth);
}

/** Ink on ground, by the custom properties of the style sheet: at least 4.5 to 1 (WCAG 2.2, 1.4.3), for the muted text too. */
export async function expectContrast(page: Page, grounds: readonly string[], inks: readonly string[]): Promise<void> {
  const colours = await page.evaluate<Record<string, string>>(
    `Object.fromEntries(${JSON.stringify([...grounds, ...inks])}.map((name) =>
      [name, getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim()]))`,
  );
  for (const ground of grounds) {
    for (const ink of inks) {
      const ratio = contrast(colours[ground], colours[ink]);
      expect(ratio, `${ink} on ${ground} is ${ratio.toFixed(1)} to 1`).toBeGreaterThanOrEqual(4.5);
    }
  }
}

/** What can be read on the page is at least 4.5 to 1 on what is behind it, wherever it is; what is disabled or transparent is left out. */
export async function expectAllReadable(page: Page): Promise<void> {
  const pairs = await page.evaluate<[text: string, ink: string, ground: string][]>(`(() => {
    const hex = (colour) => "#" + colour.match(/\\d+(\\.\\d+)?/g).slice(0, 3)
      .map((part) => Math.round(part).toString(16).padStart(2, "0")).join("");
    const isOpaque = (colour) => !/^rgba\\(.*, 0\\)$|^transparent$/.test(colour);
    const groundOf = (place) => {
      for (let at = place; at; at = at.parentElement) {
        const { backgroundColor } = getComputedStyle(at);
        if (isOpaque(backgroundColor)) return backgroundColor;
      }
      return "rgb(255, 255, 255)";
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
      const place = texts.currentNode.parentElement;
      const text = texts.currentNode.data.trim();
      if (text === "" || place.closest("script, noscript, :disabled") || !place.checkVisibility()) continue;
      const { color } = getComputedStyle(place);
      if (isOpaque(color)) found.push([text.slice(0, 40), hex(color), hex(groundOf(place))]);
    }
    return found;
  })()`);
  expect(pairs.length).toBeGreaterThan(10);
  const faint = pairs.flatMap(([text, ink, ground]) => {
    const ratio = contrast(ink, ground);
    return ratio >= 4.5 ? [] : [`${JSON.stringify(text)}: ${ink} on ${ground} is ${ratio.toFixed(1)} to 1`];
  });
  expect([...new Set(faint)]).toEqual([]);
}

/** The contrast of two colours such as `#0f2530`, 1 to 21 (WCAG 2.2, "contrast ratio"). */
function contrast(one = "", other = ""): number {
  const luminances = [one, other].map((hex) => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  });
  return (Math.max(...luminances) + 0.05) / (Math.min(...luminances) + 0.05);
}
