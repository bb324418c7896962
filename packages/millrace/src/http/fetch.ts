import { FetchSink, type Sink } from "../sink/index.js";
import type { Api } from "./api.js";
import { BodyTooLarge, type Exchange, type Headers } from "./exchange.js";
import { handle } from "./handle.js";

/** Answers a Fetch `Request` for one of the hub's routes; undefined when the path is none of them. */
export async function handleFetch(api: Api, request: Request, remoteAddress?: string): Promise<Response | undefined> {
  const exchange = new FetchExchange(request, remoteAddress);
  return (await handle(api, exchange)) ? exchange.answer : undefined;
}

class FetchExchange implements Exchange {
  readonly raw: Request;
  readonly remoteAddress: string | undefined;
  readonly path: string;
  readonly query: string;
  readonly hosts = 1; // a Request has one URL, whatever came over the wire
  readonly answer: Promise<Response>;
  status = 0;
  #resolve: (response: Response) => void = () => {};

  constructor(request: Request, remoteAddress: string | undefined) {
    this.raw = request;
    this.remoteAddress = remoteAddress;
    const url = new URL(request.url);
    this.path = url.pathname;
    this.query = url.search.slice(1);
    this.answer = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get method(): string {
    return this.raw.method;
  }

  header(name: string): string | undefined {
    return this.raw.headers.get(name) ?? (name === "host" ? new URL(this.raw.url).host : undefined);
  }

  async body(limitBytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of this.raw.body ?? []) {
      bytes += part.length;
      if (bytes > limitBytes) throw new BodyTooLarge();
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  respond(status: number, headers: Headers, body?: string | Uint8Array): void {
    this.status = status;
    const empty = body === undefined || this.method === "HEAD";
    this.#resolve(new Response(empty ? null : (body as string | Uint8Array<ArrayBuffer>), { status, headers }));
  }

  stream(headers: Headers): Sink {
    this.status = 200;
    const sink = new FetchSink();
    this.raw.signal.addEventListener("abort", () => sink.destroy(), { once: true });
    this.#resolve(new Response(sink.body, { headers }));
    return sink;
  }

  onGone(listener: () => void): void {
    this.raw.signal.addEventListener("abort", listener, { once: true });
  }
}
