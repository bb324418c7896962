import { checkNumber, checkOptionKinds } from "../protocol/index.js";

/** What those who ask are answered while a server is down. */
export interface DownAnswer {
  /** From 200 to 599. Default 503. */
  readonly status?: number | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

type Handle = (request: Request) => Promise<Response | undefined>;

/** A network of one server, without sockets: a `fetch` whose answers come from a function, and break when told to. */
export class FakeNetwork {
  readonly #handle: Handle;
  readonly #exchanges = new Set<Exchange>();
  #down: "unreachable" | DownAnswer | undefined;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  /** As the global one. Any origin leads to the server. */
  readonly fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const { signal = input instanceof Request ? input.signal : undefined, ...rest } = init;
    const request = new Request(input instanceof Request ? input : new URL(String(input), "http://hub.test"), rest);
    signal?.throwIfAborted();
    if (this.#down === "unreachable") throw failed("fetch failed", "ECONNREFUSED");
    if (this.#down) return downResponse(this.#down);
    const exchange = new Exchange();
    const abort = () => exchange.break(signal?.reason);
    signal?.addEventListener("abort", abort);
    this.#exchanges.add(exchange);
    const forget = () => {
      signal?.removeEventListener("abort", abort);
      this.#exchanges.delete(exchange);
    };
    return await exchange.run(request, this.#handle, forget);
  };

  /** All that is under way breaks. */
  cut(): void {
    for (const exchange of [...this.#exchanges]) exchange.break(failed("terminated", "UND_ERR_SOCKET"));
  }

  goDown(answer?: DownAnswer): void {
    checkDown(answer);
    this.#down = answer ?? "unreachable";
    this.cut();
  }

  comeBack(): void {
    this.#down = undefined;
  }
}

/** @throws MillraceError `invalid_option` */
function checkDown(answer: DownAnswer = {}): void {
  checkOptionKinds("goDown", answer, { status: ["number"], headers: ["object"] });
  checkNumber("status", answer.status, 200, 599);
}

export const downResponse = ({ status = 503, headers = {} }: DownAnswer): Response =>
  new Response(null, { status, headers });

/** One request and its answer, to the end of its body. */
class Exchange {
  /** The server's side: aborted when the client has gone. */
  readonly #left = new AbortController();
  #broken: Promise<never>;
  #break: (reason: unknown) => void = () => {};

  constructor() {
    this.#broken = new Promise((_, reject) => {
      this.#break = reject;
    });
    this.#broken.catch(() => {});
  }

  break(reason: unknown): void {
    this.#break(reason);
    this.#left.abort();
  }

  async run(request: Request, handle: Handle, done: () => void): Promise<Response> {
    // Given to the constructor, a signal is followed by a weak reference, and that of another realm (jsdom) is refused.
    Object.defineProperty(request, "signal", { value: this.#left.signal });
    let response: Response | undefined;
    try {
      response = await Promise.race([handle(request), this.#broken]);
    } catch (error) {
      done();
      throw error;
    }
    const { status = 404, headers = {} } = response ?? {};
    const body = response?.body ? this.#carry(response.body, done) : null;
    if (body === null) done();
    const carried = new Response(body, { status, headers });
    Object.defineProperty(carried, "url", { value: request.url });
    return carried;
  }

  /** The same body, which breaks when the exchange does. It reads no further ahead than its reader. */
  #carry(body: ReadableStream<Uint8Array>, done: () => void): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#broken.catch((reason) => {
            done();
            controller.error(reason);
          });
        },
        pull: async (controller) => {
          const chunk = await reader.read();
          if (!chunk.done) return controller.enqueue(chunk.value);
          done();
          controller.close();
        },
        cancel: () => {
          done();
          this.#left.abort();
        },
      },
      { highWaterMark: 0 },
    );
  }
}

/** As Node's `fetch` says it. */
function failed(message: string, code: string): TypeError {
  return new TypeError(message, { cause: Object.assign(new Error(`${code}: the fake network is down`), { code }) });
}
