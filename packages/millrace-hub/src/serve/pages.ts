import fs from "node:fs";
import path from "node:path";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import type { NodeRequest, NodeResponse } from "millrace/http";

const folder = path.join(import.meta.dirname, "../../pages");
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
export function createPages(demo: boolean): (request: NodeRequest, response: NodeResponse) => void {
  const app = new Hono();
  if (demo) {
    for (const name of fs.readdirSync(folder)) {
      const type = types[path.extname(name)];
      if (!type) continue;
      const body = fs.readFileSync(path.join(folder, name));
      app.get(name === "index.html" ? "/" : `/${name}`, (context) =>
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
  app.notFound((context) =>
    context.json(
      {
        type: "about:blank",
        title: "Not Found",
        status: 404,
        code: "not_found",
        detail:
          "the hub answers GET /events, POST /publish, GET /connections, GET /health, GET /ready and GET /metrics",
      },
      404,
      { "content-type": "application/problem+json", "x-content-type-options": "nosniff" },
    ),
  );
  return getRequestListener(app.fetch) as (request: NodeRequest, response: NodeResponse) => void;
}
