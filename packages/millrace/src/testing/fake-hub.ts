import type { RequestListener } from "node:http";
import { createHub, type Millrace, type MillraceOptions } from "../index.js";
import { type AnyEvents, checkNumber, MillraceError } from "../protocol/index.js";
import { type DownAnswer, downResponse, FakeNetwork } from "./fake-network.js";
import { Port } from "./port.js";

/** A hub, with all that `createHub` makes, and a network in front of it that does as it is told. */
export interface FakeHub<E extends object = AnyEvents> extends Omit<Millrace<E>, "fetch"> {
  /** For `connect({ fetch })`, for `EventSource`, or in place of the global one. Any origin leads to the hub: `http://hub.test`. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** All streams break, as when a network fails. Clients may come back at once. */
  cut(): void;
  /** All streams break, and the hub cannot be reached; with an answer, those who ask get that: `{ status: 503 }`. */
  goDown(answer?: DownAnswer): Promise<void>;
  /** It can be reached again. What was published meanwhile is there. */
  comeBack(): Promise<void>;
  /**
   * Opens a real port on loopback, too, for pages and other processes. Answers with its origin.
   * @param port default: any that is free
   * @throws MillraceError `invalid_option`, and when it listens already
   */
  listen(port?: number): Promise<string>;
  /** Breaks all streams and closes the hub. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A real hub for tests, in memory and without a network: what it does to clients is what a hub does.
 *
 *     const hub = createFakeHub<{ price: { value: number } }>();
 *     const stream = connect("http://hub.test/events?channel=prices", { fetch: hub.fetch });
 *     await hub.publish({ channel: "prices", event: "price", data: { value: 1 } });
 *
 * @param options as of `createHub`. Defaults that differ: anyone may do anything, also from pages of loopback
 * origins, and the hub asks for no wait before a reconnection
 * @throws MillraceError `invalid_option`
 */
export function createFakeHub<E extends object = AnyEvents>(options: MillraceOptions = {}): FakeHub<E> {
  const hub = createHub<E>({ authorize: () => ({}), loopbackOrigins: true, retryMs: 0, ...options });
  const network = new FakeNetwork(hub.fetch);
  const end = hub.close.bind(hub);
  const { listener } = hub;
  let port: Port | undefined;
  let refusal: DownAnswer | undefined;

  const answer: RequestListener = (request, response) => {
    if (refusal === undefined) return listener(request, response);
    const { status, headers } = downResponse(refusal);
    response.writeHead(status, Object.fromEntries(headers)).end();
  };
  const close = async () => {
    network.goDown();
    await port?.close();
    await end({ drainMs: 0 });
  };
  return Object.assign(hub, {
    fetch: network.fetch,
    cut() {
      network.cut();
      port?.cut();
    },
    async goDown(given?: DownAnswer) {
      network.goDown(given);
      refusal = given;
      await port?.close();
      if (given) await port?.reopen();
    },
    async comeBack() {
      network.comeBack();
      refusal = undefined;
      await port?.reopen();
    },
    async listen(number = 0) {
      checkNumber("port", number, 0, 65_535);
      if (port) throw new MillraceError("invalid_option", `the hub listens already, at ${port.origin}`);
      port = await Port.open(answer, number);
      return port.origin;
    },
    close,
    [Symbol.asyncDispose]: close,
  });
}
