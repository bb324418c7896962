import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { etag } from "hono/etag";
import type { NodeRequest, NodeResponse } from "millrace/http";
import { type DocumentRouteOptions, documentRoute } from "../demo/document-route.js";
import { type RestartOptions, restartRoute } from "../demo/restart-route.js";
import { problem } from "./problem.js";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
/** Nothing but what the hub itself serves, and no inline script: event data that found its way into the page could not run. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Serves the demo's pages, and says where things are to those who ask for anything else. */
export function createPages(
  demo?: RestartOptions & DocumentRouteOptions,
): (request: NodeRequest, response: NodeResponse) => void {
  const app = new Hono();
  if (demo) {
    app.use(etag());
    serveFolder(app, path.join(import.meta.dirname, "../../pages"), "");
    // The client as it was built: what the pages import is what applications do.
    const library = path.join(path.dirname(fileURLToPath(import.meta.resolve("millrace/client"))), "..");
    for (const room of ["client", "protocol"]) serveFolder(app, path.join(library, room), `/millrace/${room}`);
    // What the page of the document shares with the server.
    serveFolder(app, path.join(import.meta.dirname, "../demo/text"), "/text");
    app.all("/demo/restart", restartRoute(demo));
    app.get("/demo/document", documentRoute(demo));
  }
  app.notFound((context) =>
    problem(
      context,
      404,
      "not_found",
      "the hub answers GET /events, POST /publish, GET /connections, GET /health, GET /ready and GET /metrics",
    ),
  );
  return getRequestListener(app.fetch) as (request: NodeRequest, response: NodeResponse) => void;
}

/**
 * Each file in a folder at its own path, read now: no path of a request ever becomes one of the disk. `stocks.html` is
 * `/stocks`, and `index.html` is the folder itself.
 */
function serveFolder(app: Hono, folder: string, at: string): void {
  for (const name of fs.readdirSync(folder, { encoding: "utf8", recursive: true })) {
    const type = types[path.extname(name)];
    if (!type) continue;
    const body = fs.readFileSync(path.join(folder, name));
    const page = name.replaceAll(path.sep, "/").replace(/(?:\bindex)?\.html$/, "");
    app.get(`${at}/${page}`, (context) =>
      context.body(body, 200, {
        "content-type": type,
        "content-security-policy": policy,
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
      }),
    );
  }
}
