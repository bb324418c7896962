import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Authorize } from "millrace";
import { problem } from "../serve/problem.js";

export interface RestartOptions {
  /** Whether the hub listens on a loopback address. */
  readonly loopback: boolean;
  /** Who may restart the hub is who may end its connections. */
  readonly authorize: Authorize;
  readonly onRestart: () => void;
}

/**
 * Answers `POST /demo/restart`. What it does disturbs everyone, so it is for this machine alone: nobody from outside, also
 * not through a proxy, and no page of another site that a browser on this machine has open.
 */
export function restartRoute({ loopback, authorize, onRestart }: RestartOptions) {
  return async (context: Context<{ Bindings: HttpBindings | Http2Bindings }>): Promise<Response> => {
    const header = (name: string) => context.req.header(name);
    const forbid = (reason: string) => problem(context, 403, "forbidden", reason);
    if (context.req.method !== "POST") {
      context.header("allow", "POST");
      return problem(context, 405, "method_not_allowed", "a restart is asked for with POST");
    }
    if (!loopback) return forbid("the hub is restarted from its page only where it listens on loopback: use the shell");
    if (header("forwarded") ?? header("x-forwarded-for") ?? header("via")) {
      return forbid("the hub is not restarted for requests that come through a proxy");
    }
    if (!isSameOrigin(context.req.url, header("origin"), header("sec-fetch-site"))) {
      return forbid("the hub is restarted by its own page only");
    }
    if (!/^application\/json\s*(;|$)/i.test(header("content-type") ?? "")) {
      const detail = "send {} as JSON: -X POST -H 'content-type: application/json' -d '{}'";
      return problem(context, 415, "unsupported_media_type", detail);
    }
    const { incoming } = context.env;
    const request = { method: "POST", path: context.req.path, query: "", raw: incoming, header };
    const access = await authorize(
      { ...request, remoteAddress: incoming.socket.remoteAddress },
      { action: "inspect", channels: [] },
    );
    if ("refuse" in access) {
      return problem(context, access.refuse, access.refuse === 401 ? "unauthorized" : "forbidden", `${access.reason}`);
    }
    onRestart();
    return context.json({ restarting: true }, 202, { "x-content-type-options": "nosniff" });
  };
}

/** Pages send both headers; other programs, which no page can make send anything, none. */
function isSameOrigin(url: string, origin: string | undefined, site: string | undefined): boolean {
  return (origin === undefined || origin === new URL(url).origin) && (site === undefined || site === "same-origin");
}
