import { FetchSink, type Sink } from "../sink/index.js";
import type { Api } from "./api.js";
import { bodyWasRead } from "./body.js";
import { type Exchange, type Headers, PeerGone, type Reading } from "./exchange.js";
import { handle } from "./handle.js";
import { fromLatin1 } from "./latin1.js";

/** What a Fetch runtime knows of a request beside it. */
export interface FetchInfo {
  /** The peer's address. Caps and rates for each address need it: without it they bind nobody. */
  readonly remoteAddress?: string;
}

/** Answers a Fetch `Request` for one of the hub's routes; undefined when the path is none of them. */
export async function handleFetch(api: Api, request: Request, info?: FetchInfo): Promise<Response | undefined> {
  const exchange = new FetchExchange(request, infoOf(info));
  const answered = handle(api, exchange);
  await answered;
  return answered && exchange.response();
}

/** What is known beside a request. Runtimes hand over other things in its place, with other things in them. */
export function infoOf(info: unknown): FetchInfo {
  const remoteAddress = typeof info === "object" && info !== null && "remoteAddress" in info && info.remoteAddress;
  return typeof remoteAddress === "string" ? { remoteAddress } : {};
}

/**
 * Keeps the request for as long as its stream. Node's Request follows the signal it was made with by a weak reference:
 * once it was collected, an abort was heard by nobody, and the stream of a client that had left stayed for good.
 */
const requests = new WeakMap<Sink, Request>();

export class FetchExchange implements Exchange {
  readonly raw: Request;
  readonly remoteAddress: string | undefined;
  readonly path: string;
  readonly query: string;
  readonly whole = undefined;
  readonly malformed = undefined; // a Request has one URL, whatever came over the wire
  readonly #answer: Promise<Response>;
  status = 0;
  #resolve: (response: Response) => void = () => {};

  constructor(request: Request, { remoteAddress }: FetchInfo) {
    this.raw = request;
    this.remoteAddress = remoteAddress;
    const url = new URL(request.url);
    this.path = url.pathname;
    this.query = url.search.slice(1);
    this.#answer = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get method(): string {
    return this.raw.method;
  }

  header(name: string): string | undefined {
    const value = this.raw.headers.get(name);
    if (value !== null) return fromLatin1(value);
    return name === "host" ? new URL(this.raw.url).host : undefined;
  }

  get gone(): boolean {
    return this.raw.signal.aborted;
  }

  async body(reading: Reading): Promise<void> {
    if (this.raw.bodyUsed) throw bodyWasRead();
    const reader = this.raw.body?.getReader();
    let stopped: { reason: unknown } | undefined;
    const stop = (reason: unknown) => {
      stopped ??= { reason };
      reader?.cancel(reason).catch(() => {});
    };
    reading.cut = stop;
    try {
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true };
        if (stopped) throw stopped.reason;
        if (done || !value) return;
        reading.take(value);
      }
    } catch (error) {
      stop(error);
      throw this.gone ? new PeerGone() : error;
    }
  }

  respond(status: number, headers: Headers, body?: string | Uint8Array): void {
    this.status = status;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const length = bytes === undefined ? {} : { "content-length": String(bytes.length) };
    const sent = this.method === "HEAD" || bytes === undefined ? null : (bytes as Uint8Array<ArrayBuffer>);
    this.#resolve(new Response(sent, { status, headers: { ...headers, ...length } }));
  }

  stream(headers: Headers): Sink {
    this.status = 200;
    const sink = new FetchSink();
    requests.set(sink, this.raw);
    this.raw.signal.addEventListener("abort", () => sink.left(), { once: true });
    this.#resolve(new Response(sink.body, { headers }));
    return sink;
  }

  /** What was answered, when all is done that answers. */
  response(): Promise<Response> {
    // The peer has left and reads no answer, but whoever called us waits for one. As nginx writes it in its log.
    if (this.status === 0) this.respond(499, {});
    return this.#answer;
  }

  onGone(listener: () => void): void {
    this.raw.signal.addEventListener("abort", listener, { once: true });
  }
}
