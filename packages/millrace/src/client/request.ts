import { MillraceError } from "../protocol/index.js";
import type { EventSourceFetchInit, FetchLikeResponse } from "./web-types.js";

/**
 * What a request for an event stream is made with (WHATWG HTML, "Server-sent events").
 * @param own headers of the application's, beside these
 */
export function requestInit(
  lastEventId: string,
  withCredentials: boolean,
  signal: AbortSignal | undefined,
  own: Readonly<Record<string, string>> = {},
): EventSourceFetchInit {
  const init: EventSourceFetchInit = {
    mode: "cors",
    redirect: "follow",
    headers: { Accept: "text/event-stream", ...own },
    cache: "no-store",
    signal,
  };
  if (lastEventId !== "") init.headers["Last-Event-ID"] = utf8Header(lastEventId);
  // Some runtimes of servers refuse the member: where it says nothing, and there is no page, it is left out.
  if (withCredentials) init.credentials = "include";
  else if ("window" in globalThis) init.credentials = "same-origin";
  return init;
}

/**
 * A header is a string of bytes, and that of the id is UTF-8: `fetch` throws at characters above U+00FF.
 * @throws MillraceError `invalid_data` for what no server takes, and for control characters, which browsers send and the
 * `fetch` of Node, Deno and Bun refuses: without this a client would ask for ever
 */
function utf8Header(text: string): string {
  const isBrowser = "isSecureContext" in globalThis;
  if (text.length > 16_384 || (!isBrowser && /[^\t\x20-\x7e\x80-\uffff]/.test(text))) {
    throw new MillraceError("invalid_data", `no header can hold the id ${JSON.stringify(text.slice(0, 80))}`);
  }
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** The URL in full: a relative one is the page's. @throws TypeError when it is none */
export function absoluteUrl(url: string): string {
  const { document, location } = globalThis as { document?: { baseURI: string }; location?: { href: string } };
  return new URL(url, document?.baseURI ?? location?.href).href;
}

/** Why a response is no event stream; undefined when it is one. */
export function refusalOf({ status, headers, body }: FetchLikeResponse): string | undefined {
  if (status !== 200) return `The server has answered ${status}, not 200`;
  const type = headers.get("content-type") ?? "";
  // Of a header that came twice the last one counts (Fetch, "extract a MIME type").
  if (!/(^|,)\s*text\/event-stream\s*(;[^,]*)?$/i.test(type)) {
    return `The server has answered with content of type ${JSON.stringify(type)}, not text/event-stream`;
  }
  if (body && typeof body.getReader !== "function") return "The body of the answer is no web ReadableStream";
  return undefined;
}
