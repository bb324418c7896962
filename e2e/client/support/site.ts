import { readFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";

const library = fileURLToPath(new URL("../../../packages/millrace/dist", import.meta.url));

export interface Site extends AsyncDisposable {
  readonly origin: string;
}

/**
 * Serves the library as it is built, below `/millrace/`, and the given files; anything else is an empty page. `headers` go
 * with each page.
 */
export async function startSite(files: Readonly<Record<string, string>> = {}, headers: http.OutgoingHttpHeaders = {}) {
  const server = http.createServer((request, response) => {
    const path = posix.normalize(new URL(request.url ?? "/", "http://site").pathname);
    const text = files[path];
    const type = path.endsWith(".js") ? "text/javascript" : "text/html";
    if (text !== undefined) response.writeHead(200, { "content-type": type, ...headers }).end(text);
    else if (path.startsWith("/millrace/")) {
      const file = join(library, path.slice("/millrace".length));
      response.writeHead(200, { "content-type": type }).end(readFileSync(file));
    } else response.writeHead(200, { "content-type": type, ...headers }).end("<!doctype html><title>page</title>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  } satisfies Site;
}

/** What a stream has told so far. */
export interface Told {
  readonly state: string;
  readonly states: string[];
  readonly data: number[];
  readonly errors: string[];
  readonly gaps: number;
  readonly lastEventId: string;
}

/**
 * Follows the URL, of numbers as data, and writes down what comes; `globalThis.told()` tells it. `options` are those of
 * `connect` as source text: they may hold functions.
 */
const follow = (url: string, options: string): string => `
  const stream = connect(${JSON.stringify(url)}, { backoff: { baseMs: 50, maxMs: 300 }, ...${options} });
  const sofar = { states: [], data: [], errors: [], gaps: 0 };
  stream.on("*", ({ data }) => sofar.data.push(data));
  stream.on("state", ({ state }) => sofar.states.push(state));
  stream.on("error", ({ error }) => sofar.errors.push(error.message));
  stream.on("gap", () => sofar.gaps++);
  globalThis.told = () => ({ ...sofar, state: stream.state, lastEventId: stream.lastEventId });
`;

/** The same as a module for a worker. */
export const followingModule = (url: string, options = "{}"): string =>
  `import { connect } from "/millrace/client/index.js";\n${follow(url, options)}`;

/** Follows the URL in the page. */
export async function followIn(page: Page, url: string, options = "{}"): Promise<void> {
  await page.evaluate(`(async () => {
    const { connect } = await import("/millrace/client/index.js");
    ${follow(url, options)}
  })()`);
}

export const told = (page: Page): Promise<Told> => page.evaluate("globalThis.told()");
