import { readFileSync } from "node:fs";
import http, { type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import type { BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";
import { until } from "../../support/until.js";

/** The library as it was built. */
const library = fileURLToPath(new URL("../../../packages/millrace/dist", import.meta.url));

/** What a tab has seen of its stream. */
export interface Seen {
  readonly events: readonly [data: unknown, channel: string | undefined][];
  readonly states: readonly string[];
  readonly errors: readonly string[];
  /** The ids of the connections that it was told of. */
  readonly connections: readonly string[];
  readonly status: {
    readonly state: string;
    readonly reason?: string;
    readonly error?: { readonly status?: number; readonly message: string };
    readonly tabs?: { readonly holds: boolean; readonly count: number };
  };
}

/** Runs in the page, where `options` is the code of an object, and `more` code that has the `stream`. */
const follow = (url: string, options: string, more: string): string => `(async () => {
  const { connect, acrossTabs } = await import("/client/index.js");
  const stream = connect(${JSON.stringify(url)}, {
    backoff: { baseMs: 50, maxMs: 200 }, share: acrossTabs(), ...${options},
  });
  const seen = { events: [], states: [], errors: [], connections: [] };
  stream.on("*", ({ data, channel }) => seen.events.push([data, channel]));
  stream.on("open", ({ connection }) => seen.connections.push(connection));
  stream.on("state", ({ state }) => seen.states.push(state));
  stream.on("error", ({ error }) => seen.errors.push(error.message));
  stream.on("gap", (gap) => seen.errors.push("gap: " + JSON.stringify(gap)));
  ${more};
  globalThis.stream = stream;
  globalThis.seen = () => {
    const { error, ...status } = stream.status;
    return { ...seen, status: { ...status, error: error && { status: error.status, message: error.message } } };
  };
})()`;

/** Serves the library, and an empty page for whatever `other` does not take. */
export async function servePages(other?: RequestListener): Promise<{ origin: string; close: () => void }> {
  const server = http.createServer((request, response) => {
    const path = posix.normalize((request.url ?? "/").split("?")[0] as string);
    if (path.endsWith(".js")) {
      response.writeHead(200, { "content-type": "text/javascript" }).end(readFileSync(join(library, path)));
    } else if (other && path !== "/") other(request, response);
    else response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>tab</title>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

/**
 * A page with a stream that it shares.
 * @param options the code of an object
 * @param more code that has the `stream`, before anything has come over it
 */
export async function openTab(
  context: BrowserContext,
  origin: string,
  url: string,
  options = "{}",
  more = "",
): Promise<Page> {
  const page = await context.newPage();
  await page.goto(origin);
  await page.evaluate(follow(url, options, more));
  return page;
}

export const seenBy = (tab: Page): Promise<Seen> => tab.evaluate("globalThis.seen()");
export const dataOf = async (tab: Page): Promise<unknown[]> => (await seenBy(tab)).events.map(([data]) => data);
export const holds = async (tab: Page): Promise<boolean> => (await seenBy(tab)).status.tabs?.holds === true;

export const hasState = (tab: Page, state: string): Promise<void> =>
  until(`the state of the tab is ${state}`, async () => (await seenBy(tab)).status.state === state);

/** The tab has had these, and no other ones. */
export async function hasData(tab: Page, expected: readonly unknown[]): Promise<void> {
  let last: readonly unknown[] = [];
  await until(
    () => `${expected.length} events; there are ${JSON.stringify(last)}`,
    async () => {
      last = await dataOf(tab);
      return last.length >= expected.length;
    },
  );
  expect(last).toEqual(expected);
}
