import { createParser, type StreamEvent } from "../../../src/protocol/index.js";
import { within } from "./until.js";

/** Reads an event stream with the project's own parser, and only as far as it is asked to: else it is a stalled client. */
export class EventReader {
  readonly comments: string[] = [];
  readonly retries: number[] = [];
  /** Ids of blocks without data. */
  readonly cursors: string[] = [];
  bytes = 0;
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #events: StreamEvent[] = [];
  readonly #parser = createParser({
    onEvent: (event) => this.#events.push(event),
    onComment: (text) => this.comments.push(text),
    onRetry: (retryMs) => this.retries.push(retryMs),
    onLastEventId: (id) => this.cursors.push(id),
  });
  #reading: Promise<boolean> | undefined;

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#source = body[Symbol.asyncIterator]();
  }

  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  /** The next event; rejects when the stream ends before. */
  async next(): Promise<StreamEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event) return event;
      if (!(await within("an event", this.#readMore()))) throw new Error("the stream has ended");
    }
  }

  /** The data of the next events. */
  async data(count: number): Promise<string[]> {
    const data: string[] = [];
    while (data.length < count) data.push((await this.next()).data);
    return data;
  }

  /** Reads until `met`, whatever comes. */
  async readUntil(what: string, met: () => boolean): Promise<void> {
    while (!met()) {
      if (!(await within(what, this.#readMore()))) throw new Error(`the stream has ended before: ${what}`);
    }
  }

  /** Reads to the end; a connection that was cut is an end, too. Answers with the events that were left. */
  async rest(): Promise<StreamEvent[]> {
    while (
      await within(
        "the end of the stream",
        this.#readMore().catch(() => false),
      )
    );
    return this.#events.splice(0);
  }

  #readMore(): Promise<boolean> {
    this.#reading ??= this.#source.next().then(
      ({ done, value }) => {
        this.#reading = undefined;
        if (done) return false;
        this.bytes += value.length;
        this.#parser.feed(value);
        return true;
      },
      (error) => {
        this.#reading = undefined;
        throw error;
      },
    );
    return this.#reading;
  }
}
