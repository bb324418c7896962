/** The page of docs/authentication.md, in a browser: a native EventSource that is let in by tickets. */
import { readFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createHub, createTickets } from "millrace";
import { describe, expect, test } from "vitest";
import { chromiumAvailable, launchChromium } from "./support/chromium.js";

/** The script that the document shows. */
async function scriptOf(document: string): Promise<string> {
  const text = await readFile(new URL(document, import.meta.url), "utf8");
  const script = [...text.matchAll(/^```js\n(.*?)^```/gms)]
    .map(([, code]) => code)
    .find((code) => code?.includes("new EventSource"));
  if (script === undefined) throw new Error(`${document} shows no page with an EventSource`);
  return script;
}

const chromium = chromiumAvailable();

describe.skipIf(!chromium.available)("a page with tickets", { meta: { skipReason: chromium.reason } }, () => {
  test("goes on behind every cut without a loss, and stays away when it is told to", async () => {
    const script = await scriptOf("../docs/authentication.md");
    const tickets = createTickets();
    const statuses: number[] = [];
    const hub = createHub({
      authorize: tickets.or(() => ({ refuse: 401 })),
      onAnswer: ({ status }) => statuses.push(status),
    });
    let issued = 0;
    const server = http.createServer((request, response) => {
      if (request.url === "/") {
        const page = `var shown = []; var show = (event) => shown.push(event.data); var reloadEverything = () => shown.push("gap");`;
        response.setHeader("content-type", "text/html").end(`<script>${page}\n${script}</script>`);
      } else if (request.url === "/ticket") {
        issued++;
        const ticket = tickets.issue({ user: "ann" }, { channels: ["news", "chat/*"] });
        response.end(JSON.stringify({ ticket, position: hub.position() }));
      } else if (request.url?.startsWith("/events")) {
        hub.listener(request, response);
      } else {
        response.writeHead(404).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const browser = await launchChromium();
    const connections = (count: number) => expect.poll(() => hub.stats().connections, { timeout: 15_000 }).toBe(count);
    try {
      const tab = await browser.newPage();
      await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      await connections(1);
      for (let cut = 0; cut < 3; cut++) {
        await hub.publish({ channel: "news", event: "headline", data: `open ${cut}` });
        for (const connection of hub.connections()) hub.disconnect(connection);
        await hub.publish({ channel: "news", event: "headline", data: `away ${cut}` });
        await connections(1);
      }
      const all = [0, 1, 2].flatMap((cut) => [`open ${cut}`, `away ${cut}`]);
      await expect.poll(() => tab.evaluate("shown"), { timeout: 15_000 }).toEqual(all);
      expect(issued).toBe(4);
      for (const connection of hub.connections()) hub.disconnect(connection, { reconnect: false });
      // Longer than it waits after a cut: the browser's own reconnecting would come at once, with a used ticket.
      await new Promise((resolve) => setTimeout(resolve, 2000));
      expect(issued).toBe(4);
      expect(statuses).toEqual([200, 200, 200, 200]);
    } finally {
      await browser.close();
      await hub.close({ drainMs: 100 });
      server.closeAllConnections();
      server.close();
    }
  });
});
