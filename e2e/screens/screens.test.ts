/** The hooks and the composables, bundled as an application's are, in a browser, against a real hub: one contract for both. */

import type { Browser } from "playwright-core";
import { renderToString as renderReact } from "react-dom/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { renderToString as renderVue } from "vue/server-renderer";
import { chromiumAvailable, launchChromium } from "../support/chromium.js";
import { until } from "../support/until.js";
import type { Props } from "./apps/app.js";
import * as react from "./apps/react.js";
import * as vue from "./apps/vue.js";
import { bundle, type Library } from "./support/bundle.js";
import { Site } from "./support/page.js";

const available = chromiumAvailable();
const libraries: Record<Library, (props: Props) => Promise<string>> = {
  react: async (props: Props) => renderReact(react.tree(props)),
  vue: async (props: Props) => renderVue(vue.tree(props)),
};

describe.skipIf(!available.available)("in a browser", { meta: { skipReason: available.reason } }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
  });

  describe.each(["react", "vue"] as const)("%s", (library) => {
    let code: string;
    beforeAll(async () => {
      code = await bundle(library);
    });
    const open = (props: Props, rendered?: string) => Site.open(browser, code, props, rendered ? { rendered } : {});
    const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

    test("a screen asks once for all of its channels, and unmounting it closes the connection", async () => {
      await using site = await open({ url: "/events?channel=own", channels: ["a", "b"] });
      await site.untilReads("a,b,own");
      await until("the state is shown", async () => (await site.text("state")) === "open");
      expect(site.requests).toEqual(["GET /events?channel=own&channel=a&channel=b"]);
      await site.unmount();
      await site.untilReads();
      expect(site.requests).toHaveLength(1);
      expect(site.complaints).toEqual([]);
    });

    test("rendering again with other handlers and options asks for nothing; the handlers are those of the last render", async () => {
      await using site = await open({ url: "/events?channel=own" });
      await site.untilReads("own");
      for (let turn = 1; turn <= 5; turn++) {
        await site.set({ url: "/events?channel=own", turn });
        await until("it is rendered", async () => (await site.text("turn")) === `${turn}`);
        await site.hub.publish([
          { channel: "own", data: turn },
          { channel: "own", event: "price", data: { value: turn } },
          { channel: "own", event: "unheard", data: turn },
        ]);
        await site.untilNoted(2 * turn);
      }
      expect(await site.noted()).toEqual(numbers(1, 6).flatMap((n) => [`message ${n} ${n}`, `price ${n} ${n}`]));
      expect(site.requests).toHaveLength(1);
    });

    test("another URL and another reader open anew, none closes, and it can come back", async () => {
      await using site = await open({ url: "/events?channel=a", reader: "ann" });
      await site.untilReads("a");
      const [first] = [...site.hub.connections()];
      await site.set({ url: "/events?channel=b", reader: "ann" });
      await site.untilReads("b");
      await site.set({ url: "/events?channel=b", reader: "bob" });
      await until("another connection", () => site.requests.length === 3);
      await site.untilReads("b");
      await site.set({ url: null, reader: "bob" });
      await site.untilReads();
      await until("the state is shown", async () => (await site.text("state")) === "closed");
      await site.set({ url: "/events?channel=a", reader: "bob" });
      await site.untilReads("a");
      expect([...site.hub.connections()][0]?.id).not.toBe(first?.id);
      expect(site.complaints).toEqual([]);
    });

    test("lists come and go on the one connection", async () => {
      const url = "/events?channel=own";
      await using site = await open({ url, channels: ["a"] });
      await site.untilReads("a,own");
      await site.set({ url, channels: ["a", "b", "c"], watched: "a" });
      await site.untilReads("a,b,c,own");
      await site.set({ url, channels: ["c"], watched: "a" });
      await site.untilReads("a,c,own");
      await site.hub.publish(["own", "a", "b", "c"].map((channel, data) => ({ channel, data })));
      await until("the lists are there", async () => (await site.list("c"))[0] === "3");
      expect(await site.list("watched")).toEqual(["1"]);
      // The list is now of another channel: it begins empty, and never shows what was of the other.
      await site.set({ url, channels: ["c"], watched: "c" });
      await site.untilReads("c,own");
      await until("the list is empty", async () => (await site.list("watched")).length === 0);
      await site.hub.publish({ channel: "c", data: 4 });
      await until("the list has begun", async () => (await site.list("watched")).join() === "4");
      expect(await site.list("c")).toEqual(["3", "4"]);
      expect(await site.noted()).not.toContain("wrong watched");
      expect(site.requests.filter((request) => request.startsWith("GET"))).toHaveLength(1);
      expect(site.complaints).toEqual([]);
    });

    test("over cuts no event is missed and none comes twice, in order; the list has the last 50", async () => {
      await using site = await open({ url: "/events?channel=own", channels: ["own"] });
      await site.untilReads("own");
      for (const n of numbers(0, 600)) {
        await site.hub.publish({ channel: "own", data: n });
        if (n % 150 === 75) {
          const before = site.requests.length;
          site.cut();
          await until("it is back", () => site.requests.length > before && site.reads().length === 1);
        }
      }
      const noted = await site.untilNoted(600);
      expect(noted).toEqual(numbers(0, 600).map((n) => `message 0 ${n}`));
      await until("the list is full", async () => (await site.list("own")).at(-1) === "599");
      expect(await site.list("own")).toEqual(numbers(550, 600).map(String));
      expect(site.requests.length).toBeGreaterThan(3);
    });

    test("a burst of events is a few renders", async () => {
      await using site = await open({ url: "/events", channels: ["burst"] });
      await site.untilReads("burst");
      const before = await site.renders("burst");
      await site.hub.publish(numbers(0, 2000).map((n) => ({ channel: "burst", data: n })));
      await until("the last is shown", async () => (await site.list("burst")).at(-1) === "1999");
      expect(await site.untilNoted(2000)).toHaveLength(2000);
      expect((await site.renders("burst")) - before).toBeLessThan(100);
    });

    test("what a handler throws is the page's error, and the stream goes on", async () => {
      await using site = await open({ url: "/events?channel=own" });
      await site.untilReads("own");
      await site.hub.publish([
        { channel: "own", event: "fault", data: 1 },
        { channel: "own", data: 2 },
      ]);
      expect(await site.untilNoted(1)).toEqual(["message 0 2"]);
      expect(site.complaints).toEqual(["a fault of a handler"]);
    });

    test("a channel that is refused is an error of its own list", async () => {
      const url = "/events?channel=own";
      await using site = await open({ url });
      await site.untilReads("own");
      await site.set({ url, channels: ["secret"] });
      await until("the error is shown", async () =>
        (await site.page.locator("#list-secret").getAttribute("title"))?.includes("not for you"),
      );
      expect(await site.page.locator("#list-watched").getAttribute("title")).toBe(null);
      await site.untilReads("own");
    });

    test("a wrong option is caught where errors of components are", async () => {
      await using site = await open({ url: "/events?channel=own" });
      await site.untilReads("own");
      await site.set({ url: "http://" });
      expect((await site.untilNoted(1))[0]).toMatch(/^caught the URL is "http:\/\/"/);
    });

    test("a component of its own: URL, default listener and figure", async () => {
      await using site = await open({ url: null, own: "/events?channel=own" });
      await site.untilReads("own", "own");
      await site.hub.publish([
        { channel: "own", event: "price", data: { value: 12.5 } },
        { channel: "own", data: 1 },
      ]);
      expect(await site.untilNoted(2)).toEqual(['own {"value":12.5}', "own 1"]);
      await until("the figure is shown", async () => (await site.text("own")) === "open 12.5");
      await site.set({ url: null, own: null });
      await site.untilReads();
      expect(site.complaints).toEqual([]);
    });

    test("two tabs that share have one connection, and each its own lists", async () => {
      const props: Props = { url: "/events?channel=own", channels: ["a"], shared: true };
      await using site = await open(props);
      await site.untilReads("a,own");
      const other = await site.page.context().newPage();
      await other.goto(site.url);
      await other.evaluate((now) => globalThis.app.set(now), { ...props, channels: ["b"] });
      await site.untilReads("a,b,own");
      await until("the other one is open", async () => (await other.locator("#state").textContent()) === "open");
      await site.hub.publish(["own", "a", "b"].map((channel, data) => ({ channel, data })));
      await until(
        "the lists are there",
        async () => (await other.locator("#list-b > li").allTextContents()).join() === "2",
      );
      await until("the lists are there", async () => (await site.list("a")).join() === "1");
      await site.unmount();
      await site.untilReads("b,own");
      await site.hub.publish({ channel: "b", data: 3 });
      await until("it goes on", async () => (await other.locator("#list-b > li").allTextContents()).join() === "2,3");
    });

    test("put away and shown again: React closes and goes on where it was, Vue stays connected", async () => {
      const props: Props = { url: "/events?channel=own", channels: ["own"] };
      await using site = await open(props);
      await site.untilReads("own");
      await site.hub.publish({ channel: "own", data: 1 });
      await until("the list is there", async () => (await site.list("own")).join() === "1");
      await site.set({ ...props, hidden: true });
      await site.untilReads(...(library === "react" ? [] : ["own"]));
      await site.hub.publish({ channel: "own", data: 2 });
      await site.set({ ...props, hidden: false });
      expect(await site.untilNoted(2)).toEqual(["message 0 1", "message 0 2"]);
      const list = library === "react" ? "2" : "1,2";
      await until("the list is there", async () => (await site.list("own")).join() === list);
      expect(site.complaints).toEqual([]);
    });

    test("a page takes over from what a server has rendered", async () => {
      const props: Props = { url: "/events?channel=own", channels: ["own"], own: "/events?channel=other" };
      const html = await libraries[library](props);
      expect(html).toContain("connecting");
      await using site = await open(props, html);
      await site.untilReads("other", "other", "own");
      await site.hub.publish({ channel: "own", data: 1 });
      await until("the list is there", async () => (await site.list("own")).join() === "1");
      expect(site.complaints).toEqual([]);
    });
  });
});
