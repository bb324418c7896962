type Handler = (event: never) => unknown;

/** Handlers by what they are called for. */
export interface Handlers {
  /** Answers with a function that takes it away. */
  add(type: string, handler: Handler): () => void;
  /** Calls them all, whatever one of them throws. */
  call(type: string, event: object): void;
}

export function createHandlers(): Handlers {
  const byType = new Map<string, Set<Handler>>();
  return {
    add(type, handler) {
      // Each of its own: the same function may be added twice, and taken away once.
      const own: Handler = (event) => handler(event);
      const handlers = byType.get(type) ?? new Set();
      byType.set(type, handlers.add(own));
      return () => void handlers.delete(own);
    },
    call(type, event) {
      for (const handler of [...(byType.get(type) ?? [])]) {
        // As with an `EventTarget`: what a handler throws ends nothing, and is not lost.
        const thrown = (error: unknown) =>
          queueMicrotask(() => {
            throw error;
          });
        try {
          const answer = handler(event as never);
          if (answer instanceof Promise) answer.catch(thrown);
        } catch (error) {
          thrown(error);
        }
      }
    },
  };
}
