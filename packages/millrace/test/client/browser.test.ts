/**
 * The table of the standard in a real browser, on the browser's own EventSource and on ours: what the browser does is
 * what the table says, so the table says what the standard means.
 */
import { readFileSync, rmSync } from "node:fs";
import type { RequestListener } from "node:http";
import { join, posix } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../../../../e2e/support/chromium.js";
import { type FaultServer, startFaultServer } from "../../src/testing/index.js";
import { cases } from "./event-source-cases.js";
import { buildClient } from "./support/build.js";
import { observe, type Source } from "./support/observe.js";
import { runCase } from "./support/run-case.js";

/** What the page keeps of the stream under test. */
declare global {
  var observed: { log: string[]; source: Source } | undefined;
}

const available = chromiumAvailable();

describe.skipIf(!available.available)("in a browser", { meta: { skipReason: available.reason } }, () => {
  let folder: string;
  let server: FaultServer;
  let browser: Browser;
  let page: Page;
  let thrown: string[];

  beforeAll(async () => {
    folder = buildClient();
    server = await startFaultServer({ target: servePage });
    browser = await launchChromium();
    page = await browser.newPage();
    page.on("pageerror", (error) => thrown.push(error.message));
    await page.goto(server.origin);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
    if (folder) rmSync(folder, { recursive: true });
  });

  const servePage: RequestListener = (request, response) => {
    const path = posix.normalize(request.url ?? "/");
    if (path.endsWith(".js")) {
      response.writeHead(200, { "content-type": "text/javascript" }).end(readFileSync(join(folder, path)));
    } else response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>test</title>");
  };

  describe.each(["native", "ours"])("%s", (kind) => {
    test.each(cases)("$name", async (given) => {
      const expected = (kind === "native" && given.chromium?.log) || given.log;
      thrown = [];
      const { log, lastEventIds } = await runCase(server, given, expected, async (url, options) => {
        const { script, ...rest } = options;
        const create = kind === "native" ? "EventSource" : '(await import("/client/index.js")).EventSource';
        const argument = `{ ...${JSON.stringify(rest)}, script: ${script ?? "undefined"} }`;
        await page.evaluate(`(async () => {
          globalThis.observed = (${observe})(${create}, ${JSON.stringify(url)}, ${argument});
        })()`);
        return {
          log: () => page.evaluate(() => globalThis.observed?.log ?? []),
          close: () => page.evaluate(() => globalThis.observed?.source.close()),
        };
      });
      expect(log).toEqual(expected);
      if (given.lastEventIds) expect(lastEventIds).toEqual(given.lastEventIds);
      expect(thrown).toEqual(given.throws ?? []);
    });
  });
});
