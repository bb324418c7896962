import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Authorize } from "millrace";
import { problem } from "../serve/problem.js";
import { type DocumentState, documentChannel } from "./document.js";

export interface DocumentRouteOptions {
  /** Who may read the state is who may follow its edits. */
  readonly authorize: Authorize;
  /** Undefined while the hub restarts. */
  readonly readDocument: () => Promise<DocumentState> | undefined;
}

/** Answers `GET /demo/document`: the text as it is now, and in `Millrace-Position` what its next edits follow. */
export function documentRoute({ authorize, readDocument }: DocumentRouteOptions) {
  return async (context: Context<{ Bindings: HttpBindings | Http2Bindings }>): Promise<Response> => {
    const { incoming } = context.env;
    const { method, path } = context.req;
    const header = (name: string) => context.req.header(name);
    const access = await authorize(
      { method, path, query: "", raw: incoming, header, remoteAddress: incoming.socket.remoteAddress },
      { action: "subscribe", channels: [documentChannel] },
    );
    if ("refuse" in access) {
      return problem(context, access.refuse, access.refuse === 401 ? "unauthorized" : "forbidden", `${access.reason}`);
    }
    const document = await readDocument();
    if (!document) return problem(context, 503, "closed", "the hub restarts: ask again in a moment");
    context.header("millrace-position", document.position);
    return context.json(document.state, 200, { "cache-control": "no-store", "x-content-type-options": "nosniff" });
  };
}
