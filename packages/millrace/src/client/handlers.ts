type Handler = (event: never) => unknown;

/** Handlers by what they are called for. */
export class Handlers {
  readonly #byType = new Map<string, Set<Handler>>();

  /** Answers with a function that takes it away. */
  add(type: string, handler: Handler): () => void {
    // Each of its own: the same function may be added twice, and taken away once.
    const own: Handler = (event) => handler(event);
    const handlers = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, handlers.add(own));
    return () => {
      handlers.delete(own);
      if (handlers.size === 0 && this.#byType.get(type) === handlers) this.#byType.delete(type);
    };
  }

  /** Calls them all, whatever one of them throws. */
  call(type: string, event: object, onThrown: (error: unknown) => void): void {
    for (const handler of [...(this.#byType.get(type) ?? [])]) {
      try {
        const answer = handler(event as never);
        if (answer instanceof Promise) answer.catch(onThrown);
      } catch (error) {
        onThrown(error);
      }
    }
  }
}

/** As with an `EventTarget`: what a handler throws ends nothing, and is not lost. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
