import { invalidOption } from "../protocol/index.js";
import type { AnyConnectOptions, ConnectFetch, ConnectFetchInit } from "./connect-options.js";
import { ConnectionError } from "./connection-error.js";
import { messageOf } from "./error-event.js";
import { detailOf } from "./refusal.js";
import { absoluteUrl, requestInit } from "./request.js";
import type { FetchLikeResponse, WebUrl } from "./web-types.js";

/** Longer addresses do not pass every proxy: the selection then goes into a body. */
const mostUrlLength = 2000;

export interface Ask {
  /** "" for none. */
  readonly lastEventId: string;
  /** One answer at once, instead of a stream. */
  readonly poll: boolean;
  readonly signal: AbortSignal;
}

/** What is asked, of whom: the same at each attempt, but for the cursor, the headers and the channels. */
export class Source {
  readonly url: string;
  readonly #options: AnyConnectOptions;
  readonly #fetch: ConnectFetch;
  /** Those that were given beside the URL. */
  #channels: ReadonlySet<string>;

  /** @throws MillraceError `invalid_option` */
  constructor(url: string | WebUrl, options: AnyConnectOptions) {
    this.url = absolute(String(url));
    this.#options = options;
    this.#channels = new Set([...new URL(this.url).searchParams.getAll("channel"), ...(options.channels ?? [])]);
    this.#fetch = options.fetch ?? (globalThis.fetch as unknown as ConnectFetch);
    if (typeof this.#fetch !== "function") {
      throw invalidOption("fetch", undefined, "there is no global fetch here: give one as { fetch }");
    }
  }

  get channels(): readonly string[] {
    return [...this.#channels];
  }

  change(add: readonly string[], drop: readonly string[]): void {
    this.#channels = new Set([...[...this.#channels].filter((name) => !drop.includes(name)), ...add]);
  }

  /** Whether each attempt asks for its headers. */
  get hasFreshHeaders(): boolean {
    return typeof this.#options.headers === "function";
  }

  async ask({ lastEventId, poll, signal }: Ask): Promise<FetchLikeResponse> {
    const { url, body } = this.#address(poll);
    const init: ConnectFetchInit = {
      ...(await this.#init(lastEventId, signal)),
      method: this.#options.method ?? (body === undefined ? "GET" : "POST"),
    };
    if (body !== undefined) {
      init.body = body;
      init.headers["Content-Type"] ??= "application/json";
    }
    const fetch = this.#fetch; // not as a method: a browser's fetch refuses another `this`
    return await fetch(url, init);
  }

  /** Changes what an open stream of a hub is given. Answers with why it could not. */
  async changeOpen(
    connection: string,
    add: readonly string[],
    drop: readonly string[],
  ): Promise<ConnectionError | undefined> {
    const url = new URL(this.url);
    url.pathname = url.pathname.replace(/\/events$/, `/connections/${connection}/channels`);
    url.search = "";
    try {
      const init = {
        ...(await this.#init("")),
        method: "POST",
        body: JSON.stringify({ add, drop }),
      };
      init.headers["Content-Type"] = "application/json";
      const fetch = this.#fetch;
      const response = await fetch(url.href, init);
      const { status } = response;
      const detail = await detailOf(response); // and lets go of its body
      return status === 200
        ? undefined
        : new ConnectionError("refused", detail ?? `the server answered ${status}`, { status });
    } catch (cause) {
      return new ConnectionError("connection_lost", messageOf(cause), { cause });
    }
  }

  #address(poll: boolean): { url: string; body: string | undefined } {
    const { body: given } = this.#options;
    const body = given === undefined || typeof given === "string" ? given : JSON.stringify(given);
    const url = new URL(this.url);
    if (poll) url.searchParams.set("mode", "poll");
    if (this.#channels.size === 0) return { url: url.href, body };
    url.searchParams.delete("channel");
    const bare = new URL(url);
    for (const channel of this.#channels) url.searchParams.append("channel", channel);
    if (url.href.length <= mostUrlLength || body !== undefined) return { url: url.href, body };
    const members = Object.fromEntries(bare.searchParams);
    bare.search = members.ticket === undefined ? "" : `?${new URLSearchParams({ ticket: members.ticket })}`;
    delete members.ticket;
    return { url: bare.href, body: JSON.stringify({ channels: this.channels, ...members }) };
  }

  async #init(lastEventId: string, signal?: AbortSignal): Promise<Omit<ConnectFetchInit, "method">> {
    const { headers, withCredentials = false } = this.#options;
    const own = typeof headers === "function" ? await headers() : headers;
    return requestInit(lastEventId, withCredentials, signal, own);
  }
}

/** @throws MillraceError `invalid_option` */
function absolute(url: string): string {
  try {
    return absoluteUrl(url);
  } catch {
    throw invalidOption(
      "the URL",
      url,
      "it is one such as https://example.org/events?channel=news; relative ones need a page",
    );
  }
}
