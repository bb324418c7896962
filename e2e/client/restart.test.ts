/** The hub is killed under a page, again and again, while events flow: every event comes once. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { startHub } from "../support/hub.js";
import { pause, until } from "../support/until.js";
import { startSite } from "./support/site.js";
import { expectEachOnce, startTicker } from "./support/ticker.js";

const available = chromiumAvailable();
const kills = 6;

test.skipIf(!available.available)(
  "of connect, of the EventSource here, and of the browser's own",
  { meta: { skipReason: available.reason } },
  async () => {
    const cwd = await mkdtemp(join(tmpdir(), "millrace-restart-"));
    const flags = ["--store", "disk:./data", "--heartbeat", "1s", "--retry", "50ms"];
    let hub = await startHub(flags, { cwd });
    const { url } = hub;
    await using browser = await launchChromium();
    await using site = await startSite();
    const page = await browser.newPage();
    await page.goto(site.origin);
    await page.evaluate(`(async () => {
      const client = await import("/millrace/client/index.js");
      const url = ${JSON.stringify(`${url}/events?channel=ticks&rewind=all`)};
      globalThis.all = { connect: [], ours: [], native: [] };
      globalThis.gaps = 0;
      const stream = client.connect(url, { backoff: { baseMs: 50, maxMs: 200 } });
      stream.on("message", ({ data }) => all.connect.push(data));
      stream.on("gap", () => gaps++);
      for (const [name, Source] of [["ours", client.EventSource], ["native", EventSource]]) {
        const source = new Source(url);
        source.onmessage = ({ data }) => all[name].push(Number(data));
        source.addEventListener("millrace.gap", () => gaps++);
      }
    })()`);
    const all = () => page.evaluate<Record<string, number[]>>("all");
    try {
      await using ticker = startTicker(url, "ticks", 5);
      for (let killed = 0; killed < kills; killed++) {
        const before = ticker.count;
        await until("events flow", () => ticker.count > before + 50);
        hub.kill("SIGKILL");
        await hub.exited;
        await pause(Math.random() * 500);
        hub = await startHub([...flags, "--port", new URL(url).port], { cwd });
      }
      const count = await ticker.stop();
      await until("all of them have all", async () => Object.values(await all()).every((data) => data.length >= count));
      for (const data of Object.values(await all())) {
        expectEachOnce(data);
        expect(data).toHaveLength(count);
      }
      expect(await page.evaluate("gaps")).toBe(0);
    } finally {
      await hub[Symbol.asyncDispose]();
      await rm(cwd, { recursive: true, force: true });
    }
  },
);
