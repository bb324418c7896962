/**
 * Types of the web's globals, as the user's own program knows them: with the DOM library, with those of Node, or with
 * neither of them. So these declarations compile in all three, and fit with what is there.
 */
type Global<Name extends string, Fallback> = typeof globalThis extends { [K in Name]: { prototype: infer T } }
  ? T
  : Fallback;

export type WebUrl = Global<"URL", { readonly href: string }>;
export type WebAbortSignal = Global<"AbortSignal", { readonly aborted: boolean }>;
export type WebEvent = Global<"Event", { readonly type: string }>;
export type WebMessageEvent = Global<
  "MessageEvent",
  // biome-ignore lint/suspicious/noExplicitAny: it is so in the DOM's types
  { readonly type: string; readonly data: any; readonly origin: string; readonly lastEventId: string }
>;

/** What is read of a body: a web `ReadableStream` of bytes. */
export interface BodyLike {
  getReader(): ReaderLike;
}

export interface ReaderLike {
  read(): Promise<{ done: false; value: unknown } | { done: true; value?: unknown }>;
  cancel(): Promise<void>;
}

/** What is needed of a `Response`. */
export interface FetchLikeResponse {
  readonly body: BodyLike | null;
  readonly url: string;
  readonly status: number;
  readonly redirected: boolean;
  readonly headers: { get(name: string): string | null };
}

/** What `fetch` is called with. */
export interface EventSourceFetchInit {
  // biome-ignore lint/suspicious/noExplicitAny: the signals of polyfills have types of their own
  signal: any;
  headers: { [name: string]: string; Accept: "text/event-stream" };
  mode: "cors" | "no-cors" | "same-origin";
  credentials?: "include" | "omit" | "same-origin";
  cache: "no-store";
  redirect: "error" | "follow" | "manual";
}

/** A `fetch`, the global one or any other. */
export type FetchLike = (url: string | WebUrl, init: EventSourceFetchInit) => Promise<FetchLikeResponse>;
