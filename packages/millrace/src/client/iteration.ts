import { onAbort } from "../protocol/index.js";

/** Readers of the same events, in step: the next event comes when all of them have asked for it. */
export class Iterations<T> {
  readonly #open = new Set<Iteration<T>>();
  #end: { readonly error?: Error } | undefined;

  /** A reader from now on. */
  add(signal?: AbortSignal): AsyncIterableIterator<T> {
    let forget: (() => void) | undefined;
    const iteration = new Iteration<T>(() => {
      this.#open.delete(iteration);
      forget?.();
    });
    if (this.#end) iteration.end(this.#end.error);
    else this.#open.add(iteration);
    if (signal?.aborted) iteration.end();
    else if (signal && !this.#end) forget = onAbort(signal, () => iteration.end());
    return iteration;
  }

  /** Resolves when all have done with it. */
  async give(event: T): Promise<void> {
    if (this.#open.size > 0) await Promise.all([...this.#open].map((iteration) => iteration.give(event)));
  }

  /** No event follows; with an error, the loops throw it. */
  end(error?: Error): void {
    this.#end = error ? { error } : {};
    for (const iteration of [...this.#open]) iteration.end(error);
  }
}

class Iteration<T> implements AsyncIterableIterator<T> {
  readonly #left: () => void;
  #asking: { resolve: (result: IteratorResult<T>) => void; reject: (error: Error) => void } | undefined;
  #given: T[] = [];
  #done: (() => void) | undefined;
  #ended: { readonly error: Error | undefined } | undefined;

  constructor(left: () => void) {
    this.#left = left;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    // Asking for the next one says that the one before is done with.
    this.#done?.();
    this.#done = undefined;
    const [event] = this.#given.splice(0);
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (this.#ended) {
      const { error } = this.#ended;
      this.#ended = { error: undefined };
      return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => {
      this.#asking = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  give(event: T): Promise<void> {
    if (this.#ended) return Promise.resolve();
    if (this.#asking) this.#asking.resolve({ done: false, value: event });
    else this.#given.push(event);
    this.#asking = undefined;
    return new Promise((resolve) => {
      this.#done = resolve;
    });
  }

  end(error?: Error): void {
    if (this.#ended) return;
    this.#left();
    this.#done?.();
    const asking = this.#asking;
    this.#asking = undefined;
    this.#ended = { error: asking ? undefined : error };
    if (error) asking?.reject(error);
    else asking?.resolve({ done: true, value: undefined });
  }
}
