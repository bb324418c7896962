import { once } from "node:events";
import http from "node:http";
import { invalidOption, MillraceError } from "../protocol/index.js";
import type { Outlet } from "./outlet.js";

/** They are between two neighbours, and not for those behind (RFC 9110, 7.6.1). */
const hopHeaders = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"]);

/** Asks the target, and hands its answer to the outlet piece by piece. */
export async function pass(
  target: URL,
  { method, url, headers }: http.IncomingMessage,
  body: Buffer,
  outlet: Outlet,
): Promise<void> {
  await outlet.ready();
  // `Host` stays as the client has sent it: guards against foreign origins compare the two.
  const upstream = http.request(target, {
    ...{ path: url, method, headers: { ...passable(headers), ...lengthOf(body) } },
    ...{ agent: false, signal: outlet.gone },
  });
  upstream.end(body);
  let answer: http.IncomingMessage;
  try {
    [answer] = (await once(upstream, "response")) as [http.IncomingMessage];
  } catch (error) {
    return await refuse(outlet, 502, `the target ${target.origin} does not answer: ${(error as Error).message}`);
  } finally {
    upstream.on("error", () => {});
  }
  try {
    await outlet.open(answer.statusCode ?? 502, passable(answer.headers));
    for await (const bytes of answer) await outlet.write(bytes);
    await outlet.end();
  } catch {
    outlet.cut(); // as the target's answer was
  }
}

export async function refuse(outlet: Outlet, status: number, detail: string): Promise<void> {
  await outlet.open(status, { "content-type": "application/problem+json" }, true);
  await outlet.write(Buffer.from(JSON.stringify({ status, detail })));
  await outlet.end();
}

/** @throws MillraceError `invalid_option` */
export function targetOf(text: string): URL {
  const right = "it is the origin of a server, such as http://127.0.0.1:4000, or a listener of node:http";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:") throw invalidOption("target", text, right);
  if (url.pathname !== "/" || url.search !== "") {
    throw new MillraceError("invalid_option", `target is ${JSON.stringify(text)}: ${right}, without a path`);
  }
  return url;
}

function passable(headers: http.IncomingHttpHeaders): http.OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopHeaders.has(name)));
}

const lengthOf = (body: Buffer): http.OutgoingHttpHeaders =>
  body.length > 0 ? { "content-length": String(body.length) } : {};
