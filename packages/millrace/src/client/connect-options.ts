import { type AnyEvents, type GapData, invalidOption, MillraceError } from "../protocol/index.js";
import type { BackoffOptions } from "./backoff.js";
import type { Persist } from "./cursor.js";
import type { Parse, StandardSchema } from "./decode.js";
import type { EventSourceFetchInit, FetchLikeResponse, WebAbortSignal, WebUrl } from "./web-types.js";

/** What a stream is asked for with. A `fetch` may be any function that takes it. */
export interface ConnectFetchInit extends EventSourceFetchInit {
  method: string;
  body?: string;
}

export type ConnectFetch = (url: string | WebUrl, init: ConnectFetchInit) => Promise<FetchLikeResponse>;

type HeadersGiven = Readonly<Record<string, string>>;

/** What a page shows before the first event, and anew when events were lost. */
export interface Snapshot {
  /** Where the log was when it was true: `hub.position()`, or the header `Millrace-Position`. The stream begins behind it. */
  readonly position: string;
  readonly data: unknown;
}

/** How a connection is shared: `acrossTabs()` gives it, `connect` takes it. */
export type Share = (source: never, options: never, taker: never) => unknown;

export interface FallbackOptions {
  /** How long the first byte of a stream may take, in milliseconds. Default 8,000. */
  readonly firstByteMs?: number | undefined;
  /** A stream that is cut within this time after its opening, three times in a row, counts as blocked. Default 10,000. */
  readonly cutMs?: number | undefined;
  /** After so long streaming is tried again, in milliseconds. Default 300,000. */
  readonly streamAgainMs?: number | undefined;
}

export interface ConnectOptions<E extends object = AnyEvents> {
  /** Names and `prefix/*`, beside those that the URL has. They can be changed while it is open. */
  readonly channels?: readonly string[] | undefined;
  /** Headers, or a function that gives them afresh at each attempt: for tokens that expire. */
  readonly headers?: HeadersGiven | (() => HeadersGiven | Promise<HeadersGiven>) | undefined;
  /** Default `GET`; `POST` when there is a body. */
  readonly method?: string | undefined;
  /** A string goes out as it is, anything else as JSON. It is sent at each attempt. */
  readonly body?: unknown;
  /** Whether cookies go to other origins, too. Default false. */
  readonly withCredentials?: boolean | undefined;
  /** What asks for the stream. Default: the global `fetch`. */
  readonly fetch?: ConnectFetch | undefined;
  /** The cursor to begin behind. One that is persisted wins. */
  readonly lastEventId?: string | undefined;
  /** Keeps the cursor over a reload: under this name in `sessionStorage`, or in the `store`. Default: it lives as long as the page. */
  readonly persist?: Persist | undefined;
  /** What becomes of `data`. Default `json`. */
  readonly parse?: Parse | undefined;
  /** Validators by event name; their output is what handlers get. */
  readonly schemas?: { readonly [N in keyof E]?: StandardSchema<E[N]> } | undefined;
  /** The state that the events change. It is asked for at the start and after each gap, and the stream goes on behind it. */
  readonly snapshot?: ((signal: WebAbortSignal) => Promise<Snapshot> | Snapshot) | undefined;
  /** Told when events are missing: see PROTOCOL.md, 3.3. */
  readonly onGap?: ((gap: GapData) => void) | undefined;
  readonly backoff?: BackoffOptions | undefined;
  /** How long an answer may take, in milliseconds. Default 30,000. */
  readonly openMs?: number | undefined;
  /** How long nothing may come, in milliseconds. Default: three times the heartbeat that the server announces, else `Infinity`. */
  readonly silenceMs?: number | undefined;
  /** Long-polling with the same cursor where a proxy holds streams back: of a Millrace hub. False: never. Default: on. */
  readonly fallback?: false | FallbackOptions | undefined;
  /** Close while the page is hidden for longer than this, in milliseconds. Default `Infinity`: it stays open. */
  readonly hiddenMs?: number | undefined;
  /** Longest event, in characters. Default 16 Mi. */
  readonly maxBlockLength?: number | undefined;
  /** One connection for all tabs: `acrossTabs()`. Default: each has its own. */
  readonly share?: Share | undefined;
  /** Closes it. */
  readonly signal?: WebAbortSignal | undefined;
}

/** The options of a connection, whatever its events are. */
export type AnyConnectOptions = Omit<ConnectOptions, "schemas"> & { readonly schemas?: object | undefined };

/** What each option may be. */
const kinds = [
  "channels:array headers:object|function method:string body:string|object|array|number|boolean withCredentials:boolean",
  'fetch:function lastEventId:string persist:string|object parse:"json"|"text"|function schemas:object snapshot:function',
  "onGap:function backoff:object openMs:number silenceMs:number fallback:false|object hiddenMs:number maxBlockLength:number",
  "signal:object share:function backoff.attempts:number backoff.baseMs:number backoff.factor:number backoff.maxMs:number",
  "backoff.jitter:number fallback.firstByteMs:number fallback.cutMs:number fallback.streamAgainMs:number",
].join(" ");

/**
 * Types do not reach an application in JavaScript, and an option that is misspelt would be none. In few words: every
 * page loads them.
 * @throws MillraceError `invalid_option`
 */
export function checkConnectOptions(options: AnyConnectOptions): void {
  const { backoff, fallback } = options;
  check(options);
  check(backoff, "backoff.");
  check(fallback || {}, "fallback.");
}

function check(options: object = {}, prefix = ""): void {
  for (const [own, value] of Object.entries(options)) {
    const name = prefix + own;
    const [, kind] =
      kinds
        .split(" ")
        .map((each) => each.split(":"))
        .find(([known]) => known === name) ?? [];
    if (!kind) throw new MillraceError("invalid_option", `connect has no option "${name}"`);
    if (value === undefined) continue;
    const least = own === "factor" ? 1 : 0;
    const most = own === "jitter" ? 1 : Infinity;
    const allowed = kind.split("|");
    const actual = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
    const isAllowed = allowed.includes(actual) || allowed.includes(JSON.stringify(value));
    if (isAllowed && !(actual === "number" && kind === actual && !(value >= least && value <= most))) continue;
    const range = kind === "number" ? ` from ${least} to ${most}` : "";
    const article = (each: string) => each.replace(/^[ao]/, "an $&").replace(/^([bns]|fu)/, "a $&");
    throw invalidOption(name, value, `it is ${allowed.map(article).join(" or ")}${range}`);
  }
}

/** @throws MillraceError `invalid_option` */
export function checkHandler(type: unknown, handler: unknown): void {
  if (typeof type === "string" && type !== "" && typeof handler === "function") return;
  throw invalidOption("on", type, "it takes an event's name and a function");
}
