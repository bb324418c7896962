import { UsageError } from "../option.js";

/** Where the streams are, and what is sent to open one. Plain data: it goes between threads. */
export interface StreamTarget {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** The head of the request, as Latin-1. */
  readonly request: string;
}

/** What a load is to be put on. */
export interface Wanted {
  readonly url: URL;
  readonly channels: readonly string[];
  /** Lines such as `Cookie: a=b`. */
  readonly headers: readonly Header[];
  readonly apiKey: string | undefined;
}

export type Header = readonly [name: string, value: string];

/** Any address of http or https, with or without a path; the query may select what is streamed. */
export function parseStreamUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.hash || url.username || url.password) {
    throw new Error("an address such as http://127.0.0.1:4000/events?channel=news, without a user or a password");
  }
  return url;
}

export function parseHeader(text: string): Header {
  const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([\x20-\x7e\x80-\xff]*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new Error('a header such as "Cookie: session=4711"');
  return [name, value];
}

/** An address without a path is that of a hub: its streams are at /events. */
export function streamAddress({ url, channels }: Wanted): URL {
  const address = new URL(url);
  if (address.pathname === "/") address.pathname = "/events";
  for (const channel of channels) address.searchParams.append("channel", channel);
  return address;
}

export function streamTarget(wanted: Wanted): StreamTarget {
  const address = streamAddress(wanted);
  const { protocol, host, hostname, port, pathname, search } = address;
  const secure = protocol === "https:";
  const headers = new Map([
    ["host", host],
    ["accept", "text/event-stream"],
    ["cache-control", "no-store"],
    ["user-agent", "millrace-hub-bench"],
  ]);
  if (wanted.apiKey !== undefined) headers.set("authorization", `Bearer ${wanted.apiKey}`);
  for (const [name, value] of wanted.headers) headers.set(name.toLowerCase(), value);
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`);
  return {
    secure,
    host: hostname.replace(/^\[(.+)\]$/, "$1"),
    port: Number(port) || (secure ? 443 : 80),
    request: `GET ${pathname}${search} HTTP/1.1\r\n${lines.join("")}\r\n`,
  };
}

/** Where a hub takes what its streams shall bring, and on which channel. @throws UsageError where that cannot be told */
export function publishTarget(wanted: Wanted): { address: string; channel: string } {
  const address = streamAddress(wanted);
  if (!address.pathname.endsWith("/events")) {
    throw new UsageError("--publish needs a hub of Millrace: an address that ends with /events, or has no path");
  }
  const [channel = "general"] = address.searchParams.getAll("channel");
  if (channel.includes("*"))
    throw new UsageError(
      `--publish needs the name of one channel, not ${JSON.stringify(channel)}: give --channel NAME`,
    );
  address.pathname = address.pathname.replace(/events$/, "publish");
  address.search = "";
  return { address: address.href, channel };
}

/** What a report calls the target: reports are shown around, so what may be a credential in the query is hidden. */
export const nameOf = (wanted: Wanted): string => {
  const { origin, pathname, search } = streamAddress(wanted);
  return origin + pathname + search.replace(/(?<=[?&])([^&=]*)=[^&]*/g, hidden);
};

const hidden = (pair: string, name: string): string =>
  credential.test(decodeURIComponent(name.replace(/%(?![\da-f]{2})/gi, "%25"))) ? `${name}=***` : pair;
/** Names such as ticket, access_token, apiKey, X-Amz-Signature. */
const credential = /ticket|token|key|secret|pass|pwd|auth|cred|sig|jwt|session|code/i;
