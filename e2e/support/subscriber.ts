import { type Block, type Head, RawStream } from "./raw.js";

/** An event as a subscriber was given it. */
export interface Received {
  readonly id: string;
  readonly channel: string | undefined;
  readonly data: string;
}

export interface SubscriberOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Told of each event instead of keeping it in `events`. */
  readonly onEvent?: (event: Received) => void;
  /** The cursor to begin with. */
  readonly lastEventId?: string;
}

/** How long to wait before connecting again while nobody has said anything else. */
const retryMs = 100;

/**
 * A client as the standard describes it: it follows a stream, comes back with its last id whenever it is dropped, and
 * writes down everything that it was given.
 */
export class Subscriber {
  readonly events: Received[] = [];
  /** `millrace.gap` and `millrace.close`, in the order in which they came. */
  readonly gaps: Block[] = [];
  readonly closes: Block[] = [];
  /** Answers that were no stream, other than 503. */
  readonly refusals: Head[] = [];
  lastEventId: string | undefined;
  /** Streams that were opened, and how many were lost again. */
  opened = 0;
  dropped = 0;
  /** Whether it was told to stay away, by 204. */
  ended = false;
  retryMs = retryMs;
  readonly #url: string;
  readonly #path: string;
  readonly #options: SubscriberOptions;
  #stream: RawStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(url: string, path: string, options: SubscriberOptions = {}) {
    this.#url = url;
    this.#path = path;
    this.#options = options;
    this.lastEventId = options.lastEventId;
    this.#connect();
  }

  get connected(): boolean {
    return this.#stream?.head?.status === 200;
  }

  /** Of the present stream, or the last one. */
  get head(): Head | undefined {
    return this.#stream?.head;
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#stream?.destroy();
  }

  #connect(): void {
    const { headers } = this.#options;
    const cursor = this.lastEventId ? { "Last-Event-ID": this.lastEventId } : {};
    const stream: RawStream = new RawStream(
      this.#url,
      this.#path,
      { headers: { ...headers, ...cursor } },
      {
        onHead: (head) => {
          if (head.status === 200) this.opened++;
          else if (head.status === 204) this.ended = true;
          else if (head.status !== 503) this.refusals.push(head);
        },
        onBlock: (block) => this.#take(block),
        onEnd: () => this.#gone(stream),
      },
    );
    this.#stream = stream;
  }

  #take(block: Block): void {
    if (this.#stopped) return;
    const { id, event, channel, data, retry } = block;
    if (id !== undefined) this.lastEventId = id;
    if (retry !== undefined) this.retryMs = retry;
    if (data === undefined) return;
    if (event === "millrace.gap") this.gaps.push(block);
    else if (event === "millrace.close") this.closes.push(block);
    else {
      const received = { id: id ?? "", channel, data };
      if (this.#options.onEvent) this.#options.onEvent(received);
      else this.events.push(received);
    }
  }

  #gone(stream: RawStream): void {
    if (stream.head?.status === 200) this.dropped++;
    this.#stream = undefined;
    if (this.#stopped || this.ended) return;
    this.#timer = setTimeout(() => this.#connect(), this.retryMs);
  }
}
