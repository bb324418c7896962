import http from "node:http";
import { type Authorize, createHub, type Millrace } from "millrace";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { until } from "../../support/until.js";
import type { Props, Started } from "../apps/app.js";

declare global {
  var app: Started;
  var noted: string[] | undefined;
  var renders: Record<string, number> | undefined;
}

const forbidsSecrets: Authorize = (_, { channels }): ReturnType<Authorize> => {
  if (channels.some((name) => name.startsWith("secret"))) return { refuse: 403, reason: "not for you" };
  return {};
};

/** A hub in this process, which serves the page of an application as well. */
export class Site implements AsyncDisposable {
  readonly hub: Millrace;
  /** What was asked of the hub, as `GET /events?channel=a`. */
  readonly requests: string[] = [];
  /** What the page says of errors and warnings. */
  readonly complaints: string[] = [];
  readonly #server: http.Server;
  #context: BrowserContext | undefined;
  #page: Page | undefined;
  #url = "";

  private constructor(code: string, html: string) {
    this.hub = createHub({ authorize: forbidsSecrets, retryMs: 0, heartbeatMs: 200 });
    this.#server = http.createServer((request, response) => {
      const { pathname, search } = new URL(request.url ?? "", "http://localhost");
      if (pathname === "/app.js") response.writeHead(200, { "content-type": "text/javascript" }).end(code);
      else if (pathname === "/") response.writeHead(200, { "content-type": "text/html" }).end(html);
      else {
        this.requests.push(`${request.method} ${pathname.replace(/(?<=connections\/)[^/]+/, "ID")}${search}`);
        this.hub.listener(request, response);
      }
    });
  }

  /**
   * `code` exports `start`. `rendered`: what a server has made of the props; the page then takes over from it. `prepare`
   * comes before the page.
   */
  static async open(
    browser: Browser,
    code: string,
    props: Props,
    { rendered, prepare }: { rendered?: string; prepare?: (site: Site) => Promise<unknown> } = {},
  ): Promise<Site> {
    const html = `<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,">
      <div id="root">${rendered ?? ""}</div>
      <script type="module">
        import { start } from "/app.js";
        globalThis.app = start(document.getElementById("root"), ${JSON.stringify(props)}, ${rendered !== undefined});
      </script>`;
    const site = new Site(code, html);
    await new Promise<void>((resolve) => site.#server.listen(0, "127.0.0.1", resolve));
    const address = site.#server.address();
    site.#url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}/`;
    await prepare?.(site);
    site.#context = await browser.newContext();
    site.#page = await site.#context.newPage();
    site.#page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) site.complaints.push(message.text());
    });
    site.#page.on("pageerror", (error) => site.complaints.push(error.message));
    await site.#page.goto(site.#url);
    return site;
  }

  /** Where the page is. */
  get url(): string {
    return this.#url;
  }

  get page(): Page {
    if (!this.#page) throw new Error("the page is not open");
    return this.#page;
  }

  async set(props: Props): Promise<void> {
    await this.page.evaluate((now) => globalThis.app.set(now), props);
  }

  async unmount(): Promise<void> {
    await this.page.evaluate(() => globalThis.app.unmount());
  }

  async noted(): Promise<string[]> {
    return this.page.evaluate(() => globalThis.noted ?? []);
  }

  async renders(name: string): Promise<number> {
    return this.page.evaluate((of) => globalThis.renders?.[of] ?? 0, name);
  }

  /** What a list shows. */
  async list(id: string): Promise<string[]> {
    return this.page.locator(`#list-${id} > li`).allTextContents();
  }

  async text(id: string): Promise<string> {
    return (await this.page.locator(`#${id}`).textContent()) ?? "";
  }

  /** What each connection reads, such as `a,b`. */
  reads(): string[] {
    return [...this.hub.connections()].map(({ channels }) => [...channels].sort().join()).sort();
  }

  /** Resolves when the connections at the hub are these. */
  async untilReads(...expected: string[]): Promise<void> {
    const wanted = JSON.stringify(expected.sort());
    await until(
      () => `${wanted} are read, not ${JSON.stringify(this.reads())}`,
      () => JSON.stringify(this.reads()) === wanted,
    );
  }

  async untilNoted(count: number): Promise<string[]> {
    let noted: string[] = [];
    await until(
      () => `${count} notes, there are ${noted.length}, at last ${JSON.stringify(noted.slice(-3))}`,
      async () => {
        noted = await this.noted();
        return noted.length >= count;
      },
    );
    return noted;
  }

  /** Cuts every connection, in the middle of whatever it is sending. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context?.close();
    this.cut();
    await this.hub.close({ drainMs: 0 });
    this.#server.close();
  }
}
