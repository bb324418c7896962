import type { Sink, SinkOwner } from "./sink.js";

export interface PollAnswer {
  readonly body: readonly Uint8Array[];
  /** Whether the last block is a farewell, which no cursor may follow. */
  readonly farewell: boolean;
}

/**
 * A long-poll answer: full after its first write. What was written is the body; the writer's cursor, asked for when
 * the body is finished, closes it.
 */
export class PollSink implements Sink {
  readonly kind = "poll";
  readonly pendingBytes = 0;
  /** What was written, when it is over. */
  readonly answer: Promise<PollAnswer>;
  readonly #body: Uint8Array[] = [];
  #resolve: (answer: PollAnswer) => void = () => {};
  #owner: SinkOwner | undefined;
  #ended = false;
  #farewell = false;
  readonly #waits: boolean;

  /** @param options `waits`: at the tail it waits for something to say */
  constructor({ waits = true }: { readonly waits?: boolean } = {}) {
    this.#waits = waits;
    this.answer = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  open(owner: SinkOwner): void {
    this.#owner = owner;
  }

  atTail(): void {
    if (!this.#waits) this.end();
  }

  write(bytes: Uint8Array): boolean {
    this.#body.push(bytes);
    this.end();
    return false;
  }

  end(lastBytes?: Uint8Array): void {
    if (lastBytes && !this.#farewell) {
      this.#farewell = true;
      this.#body.push(lastBytes);
    }
    if (this.#ended) return;
    this.#ended = true;
    // Behind the back of whoever writes or ends: it has to move its cursor first, or even to learn who its subscriber is.
    queueMicrotask(() => {
      this.#resolve({ body: this.#body, farewell: this.#farewell });
      this.#owner?.onClose();
    });
  }

  destroy(): void {
    this.end();
  }
}
