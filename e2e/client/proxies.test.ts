/** `connect` in a browser, behind a real nginx that holds streams back or cuts them, however the hub asks it not to. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { type HubProcess, startHub } from "../support/hub.js";
import { nginxAvailable, type Servers, startNginx } from "../support/nginx.js";
import { until } from "../support/until.js";
import { followIn, type Site, startSite, told } from "./support/site.js";
import { expectEachOnce, startTicker } from "./support/ticker.js";

const browserThere = chromiumAvailable();
const nginxThere = await nginxAvailable();
const skipReason = browserThere.reason || nginxThere.reason;

/** What nginx is told of the hub's streams; the hub says `X-Accel-Buffering: no`, which it shall ignore. */
const forced = "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;";
const ways = {
  "buffers as they are by default": forced,
  "small buffers": `${forced} proxy_buffer_size 2k; proxy_buffers 2 2k; proxy_busy_buffers_size 2k;`,
  "large buffers, HTTP/1.1 to the hub": `${forced} proxy_buffers 16 64k; proxy_busy_buffers_size 128k; proxy_http_version 1.1;`,
  "gzip on top": `${forced} gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 1;`,
  "a cache that keeps to Cache-Control": `${forced} proxy_cache kept; proxy_cache_valid any 10s;`,
  "a cache that minds no Cache-Control": `proxy_buffering on; proxy_cache kept; proxy_cache_valid any 10s;
    proxy_ignore_headers X-Accel-Buffering Cache-Control Expires Vary;`,
};

const behind =
  (hub: HubProcess, how: string): Servers =>
  (port) =>
    `
    proxy_cache_path cache keys_zone=kept:1m;
    server { listen 127.0.0.1:${port}; location / { proxy_pass ${hub.url}; ${how} } }`;

describe.skipIf(skipReason !== "")("behind nginx", { meta: { skipReason } }, () => {
  let browser: Browser;
  let site: Site;

  beforeAll(async () => {
    browser = await launchChromium();
    site = await startSite();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.[Symbol.asyncDispose]();
  });

  async function open(url: string, options: string): Promise<Page> {
    const page = await browser.newPage();
    await page.goto(site.origin);
    await followIn(page, url, options);
    return page;
  }

  const length = async (page: Page) => (await told(page)).data.length;
  const reaches = (page: Page, count: number, limitMs?: number) =>
    until(`${count} events`, async () => (await length(page)) >= count, limitMs);

  test.each(Object.entries(ways))(
    "that buffers (%s), the ticker moves by long-polls; without, it streams again",
    async (_, how) => {
      await using hub = await startHub(["--store", "memory", "--heartbeat", "1s", "--retry", "50ms"]);
      await using nginx = await startNginx(behind(hub, how));
      const page = await open(
        `${nginx.url}/events?channel=ticks&rewind=all`,
        "{ fallback: { firstByteMs: 700, streamAgainMs: 4000 } }",
      );
      await using ticker = startTicker(hub.url, "ticks", 100);
      await until("it polls", async () => (await told(page)).state === "polling");
      const before = await length(page);
      await reaches(page, before + 20, 4_000); // 20 take 2 s: they come as they are published
      expect((await told(page)).state).toBe("polling");
      await nginx.change(behind(hub, "proxy_buffering off;"));
      await until("it streams", async () => (await told(page)).state === "open", 10_000);
      const count = await ticker.stop();
      await reaches(page, count);
      const { data, gaps } = await told(page);
      expectEachOnce(data);
      expect([data.length, gaps]).toEqual([count, 0]);
      await page.close();
    },
  );

  test("that streams, it never polls", async () => {
    await using hub = await startHub(["--store", "memory", "--heartbeat", "1s", "--retry", "50ms"]);
    await using nginx = await startNginx(behind(hub, ""));
    const page = await open(`${nginx.url}/events?channel=ticks&rewind=all`, "{ fallback: { firstByteMs: 700 } }");
    await using ticker = startTicker(hub.url, "ticks", 50);
    await reaches(page, 40);
    expect((await told(page)).states).toEqual(["connecting", "open"]);
    await ticker.stop();
    await page.close();
  });

  // Polls are cut, too, when they have nothing to say for so long. What there is comes all the same.
  test("that cuts what is silent for a second", async () => {
    await using hub = await startHub(["--store", "memory", "--heartbeat", "off", "--retry", "50ms"]);
    await using nginx = await startNginx(behind(hub, "proxy_read_timeout 1s;"));
    const page = await open(`${nginx.url}/events?channel=ticks&rewind=all`, "{ fallback: { streamAgainMs: 3000 } }");
    await using ticker = startTicker(hub.url, "ticks", 1_700);
    await reaches(page, 10, 40_000);
    const count = await ticker.stop();
    await reaches(page, count);
    const { data, gaps, states } = await told(page);
    expectEachOnce(data);
    expect([data.length, gaps]).toEqual([count, 0]);
    expect(states).toContain("polling");
    await page.close();
  });

  test("that is away for a while", async () => {
    await using hub = await startHub(["--store", "memory", "--heartbeat", "1s", "--retry", "50ms"]);
    const nginx = await startNginx(behind(hub, ""));
    const page = await open(`${nginx.url}/events?channel=ticks&rewind=all`, "{}");
    await using ticker = startTicker(hub.url, "ticks", 50);
    await reaches(page, 10);
    await nginx[Symbol.asyncDispose]();
    await until("it waits", async () => (await told(page)).state === "waiting");
    await using _again = await startNginx(behind(hub, ""), Number(new URL(nginx.url).port));
    await until("it is open", async () => (await told(page)).state === "open");
    const count = await ticker.stop();
    await reaches(page, count);
    expectEachOnce((await told(page)).data);
    await page.close();
  });
});
