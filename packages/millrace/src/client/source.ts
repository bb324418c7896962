import { defaultChannel, invalidOption } from "../protocol/index.js";
import type { AnyConnectOptions, ConnectFetch, ConnectFetchInit } from "./connect-options.js";
import { ConnectionError } from "./connection-error.js";
import { messageOf } from "./error-event.js";
import { detailOf } from "./refusal.js";
import { absoluteUrl, requestInit } from "./request.js";
import type { FetchLikeResponse, WebUrl } from "./web-types.js";

/** Longer addresses do not pass every proxy: the selection then goes into a body. */
const mostUrlLength = 2000;

/** How long the hub may take to change a stream: others wait behind it. */
const changeMs = 30_000;

/** What is asked, of whom: the same at each attempt, but for the cursor, the headers and the channels. */
export interface Source {
  readonly url: string;
  readonly channels: readonly string[];
  /** The same; where none is named, what a hub then reads. */
  readonly reads: readonly string[];
  /** All that was read has been dropped: there is nothing to ask for. */
  readonly isEmpty: boolean;
  /** Whether each attempt asks for its headers. */
  readonly hasFreshHeaders: boolean;
  /** Where none was named, what is added is read in place of what the server chose. */
  change(add: readonly string[], drop: readonly string[]): void;
  /**
   * @param lastEventId "" for none
   * @param poll one answer instead of a stream, which waits so long at most; "" for the server's own time
   */
  ask(lastEventId: string, poll: string | undefined, signal: AbortSignal): Promise<FetchLikeResponse>;
  /** Changes what an open stream of a hub is given. Answers with why it could not. */
  changeOpen(connection: string, add: readonly string[], drop: readonly string[]): Promise<ConnectionError | undefined>;
}

/** @throws MillraceError `invalid_option` */
export function createSource(address: string | WebUrl, options: AnyConnectOptions): Source {
  const { headers, method, withCredentials = false, fetch = globalThis.fetch as unknown as ConnectFetch } = options;
  if (typeof fetch !== "function") {
    throw invalidOption("fetch", undefined, "there is no global one here: give one");
  }
  const url = absolute(String(address));
  /** Those that were given beside the URL, too. */
  let channels = [...new Set([...new URL(url).searchParams.getAll("channel"), ...(options.channels ?? [])])];
  let wasChanged = false;
  const unnamed = /\/events$/.test(new URL(url).pathname) ? [defaultChannel] : [];
  const { body: given } = options;
  const givenBody = given === undefined || typeof given === "string" ? given : JSON.stringify(given);

  const send = async (
    url: URL,
    method: string,
    body: string | undefined,
    lastEventId: string,
    signal?: AbortSignal,
  ): Promise<FetchLikeResponse> => {
    const own = typeof headers === "function" ? await headers() : headers;
    const init: ConnectFetchInit = { ...requestInit(lastEventId, withCredentials, signal, own), method };
    if (body !== undefined) {
      init.body = body;
      // Two of that name, however they are written, would go out as one value with a comma.
      if (!/^content-type$/im.test(Object.keys(init.headers).join("\n")))
        init.headers["Content-Type"] = "application/json";
    }
    return await fetch(url.href, init);
  };

  return {
    url,
    get channels() {
      return channels;
    },
    get reads() {
      return wasChanged || channels.length > 0 ? channels : unnamed;
    },
    get isEmpty() {
      return wasChanged && channels.length === 0;
    },
    hasFreshHeaders: typeof headers === "function",
    change(add, drop) {
      channels = [...new Set([...channels.filter((name) => !drop.includes(name)), ...add])];
      wasChanged = true;
    },
    ask(lastEventId, poll, signal) {
      const address = new URL(url);
      const query = address.searchParams;
      let body = givenBody;
      if (poll !== undefined) {
        query.set("mode", "poll");
        // In the address, too: a cache that minds no Cache-Control would answer each poll as it did the first.
        if (lastEventId) query.set("lastEventId", lastEventId);
        if (poll) query.set("wait", poll);
        // A poll is answered with what is there: `every` is for streams.
        if (query.has("every")) query.set("conflate", "1");
        query.delete("every");
      }
      if (channels.length > 0) {
        query.delete("channel");
        const { ticket, ...members } = Object.fromEntries(query);
        for (const channel of channels) query.append("channel", channel);
        if (body === undefined && address.href.length > mostUrlLength) {
          address.search = ticket === undefined ? "" : `ticket=${encodeURIComponent(ticket)}`;
          body = JSON.stringify({ channels, ...members });
        }
      }
      return send(address, method ?? (body === undefined ? "GET" : "POST"), body, lastEventId, signal);
    },
    async changeOpen(connection, add, drop) {
      const address = new URL(url);
      address.pathname = address.pathname.replace(/\/events$/, `/connections/${connection}/channels`);
      address.search = "";
      try {
        const response = await send(address, "POST", JSON.stringify({ add, drop }), "", AbortSignal.timeout(changeMs));
        const { status } = response;
        const detail = await detailOf(response); // and lets go of its body
        if (status === 200) return undefined;
        return new ConnectionError("refused", detail ?? `the server answered ${status}`, { status });
      } catch (cause) {
        return new ConnectionError("connection_lost", messageOf(cause), { cause });
      }
    },
  };
}

/** @throws MillraceError `invalid_option` */
function absolute(url: string): string {
  try {
    return absoluteUrl(url);
  } catch {
    throw invalidOption("the URL", url, "relative ones need a page");
  }
}
