import { ConnectionError, type ConnectionStatus, connect, type Subscription } from "../client/index.js";
import type { AnyEvents } from "../protocol/index.js";
import { Channels } from "./channels.js";
import { NextFrame } from "./frame.js";
import { Shown } from "./shown.js";
import type { ConnectionOptions } from "./types.js";
import { upToDate } from "./up-to-date.js";

/** Where a connection keeps its link, for the hooks that it is given to. */
export const link: unique symbol = Symbol("millrace.link");

/** What there is to show of a connection. */
export interface View<E extends object = AnyEvents> {
  readonly status: ConnectionStatus;
  /** What `connect` has answered; undefined while nothing is connected, and on servers. */
  readonly subscription: Subscription<E> | undefined;
}

type Handler = (event: never) => unknown;

interface Heard {
  readonly type: string;
  readonly handler: Handler;
  forget: (() => void) | undefined;
}

interface Target<E extends object> {
  readonly url: string;
  readonly options: () => ConnectionOptions<E>;
}

/**
 * A connection as a screen holds it. Its handlers and channels are there before it is opened, and outlive each opening:
 * so their order does not matter, and what is mounted, unmounted and mounted again at once, as by React's StrictMode, asks once.
 */
export class Link<E extends object = AnyEvents> {
  readonly channels = new Channels();
  readonly nextFrame = new NextFrame();
  readonly shown: Shown<View<E>>;
  /** Of equal texts it is the same stream of the same reader: it goes on where it was. Another one begins. */
  readonly stream = new Shown("");
  readonly #heard = new Set<Heard>();
  #target: Target<E> | undefined;
  /** What has read the stream so far. Its cursor moves on after its close: behind an event whose handler has closed it. */
  #before: Subscription<E> | undefined;
  #subscription: Subscription<E> | undefined;
  #forgetOwn: (() => void) | undefined;

  /** Until it is opened. A server renders this, and so does the page that takes over from it. */
  constructor(state: "connecting" | "closed") {
    const nothing = { error: undefined, reason: undefined, waitMs: undefined, untilMs: undefined };
    const status = { state, attempt: 0, attempts: Infinity, ...nothing };
    this.shown = new Shown<View<E>>({ status, subscription: undefined });
  }

  /** As `on` of a subscription; also of those that are opened later. */
  on(type: string, handler: Handler): () => void {
    const heard: Heard = { type, handler, forget: undefined };
    if (this.#subscription) hear(heard, this.#subscription);
    this.#heard.add(heard);
    return () => {
      this.#heard.delete(heard);
      heard.forget?.();
    };
  }

  /**
   * Connects. With the same URL and key as the last time it goes on where that was. `options` is asked at once, and for
   * what has functions later, too: see `upToDate`.
   * @returns what closes it
   * @throws MillraceError `invalid_option`
   */
  open(url: string, key: string | number | undefined, options: () => ConnectionOptions<E>): () => void {
    const name = JSON.stringify([url, key]);
    this.#disconnect();
    if (name !== this.stream.value()) {
      this.#before = undefined;
      this.stream.show(name);
    }
    this.#target = { url, options };
    this.#connect(this.#target);
    return () => this.#disconnect();
  }

  /** Tries again at once, when it waits. When it was closed for good it is opened anew, and goes on where it was. */
  readonly reconnect = (): void => {
    if (this.#subscription?.state === "closed" && this.#target) this.#connect(this.#target);
    else this.#subscription?.reconnect();
  };

  #connect(target: Target<E>): void {
    this.#disconnect();
    // Its task comes before that of `connect`: the channels in use are in the first request.
    this.channels.settle();
    const lastEventId = this.#before?.lastEventId;
    const subscription = connect<E>(target.url, { ...upToDate(target.options), ...(lastEventId && { lastEventId }) });
    this.#subscription = subscription;
    this.channels.follow(subscription);
    for (const heard of this.#heard) hear(heard, subscription);
    const forgets = [
      subscription.on("state", () => {
        this.channels.opened(subscription.state === "open");
        this.#show(subscription.status);
      }),
      subscription.on("error", ({ error }) => {
        // Not where it has been: channels that are added later would miss what came meanwhile.
        const isRefused = error instanceof ConnectionError && error.status === 403 && subscription.lastEventId === "";
        if (isRefused && this.channels.suspect(error)) this.#connect(target);
      }),
    ];
    this.#forgetOwn = () => {
      for (const forget of forgets) forget();
    };
    this.#show(subscription.status);
  }

  /** Closed, whatever comes of the next opening. Without a word to handlers: nobody has to hear of a closing that is his own. */
  #disconnect(): void {
    const subscription = this.#subscription;
    if (subscription) {
      this.#subscription = undefined;
      this.#before = subscription;
      this.channels.follow(undefined);
      for (const heard of this.#heard) heard.forget?.();
      this.#forgetOwn?.();
      subscription.close();
    }
    const { status } = this.shown.value();
    this.#show({ ...status, state: "closed", error: undefined, waitMs: undefined, untilMs: undefined });
  }

  #show(status: ConnectionStatus): void {
    this.shown.show({ status, subscription: this.#subscription });
  }
}

function hear<E extends object>(heard: Heard, subscription: Subscription<E>): void {
  heard.forget = subscription.on(heard.type, heard.handler as () => unknown);
}
