import type { Sink, SinkOwner } from "./sink.js";

/**
 * A long-poll answer: full after its first write. What was written is the body; the writer's cursor, asked for when
 * the body is finished, closes it.
 */
export class PollSink implements Sink {
  readonly kind = "poll";
  readonly #finish: (body: readonly Uint8Array[], farewell: boolean) => void;
  readonly #body: Uint8Array[] = [];
  #owner: SinkOwner | undefined;
  #done = false;

  /** @param finish is given the body, once, and whether its last block is a farewell that no cursor may follow */
  constructor(finish: (body: readonly Uint8Array[], farewell: boolean) => void) {
    this.#finish = finish;
  }

  open(owner: SinkOwner): void {
    this.#owner = owner;
  }

  write(bytes: Uint8Array): boolean {
    this.#body.push(bytes);
    // Behind the writer's back: it has to move its cursor first.
    queueMicrotask(() => this.end());
    return false;
  }

  end(lastBytes?: Uint8Array): void {
    if (this.#done) return;
    this.#done = true;
    if (lastBytes) this.#body.push(lastBytes);
    this.#finish(this.#body, lastBytes !== undefined);
    this.#owner?.onClose();
  }

  destroy(): void {
    this.end();
  }
}
