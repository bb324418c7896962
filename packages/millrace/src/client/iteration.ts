import { onAbort } from "../protocol/index.js";

/** Readers of the same events, in step: the next event comes when all of them have asked for it. */
interface Iterations<T> {
  /** A reader from now on. */
  add(signal?: AbortSignal): AsyncIterableIterator<T>;
  /** Resolves when all have done with it. */
  give(event: T): Promise<unknown>;
  /** No event follows; with an error, the loops throw it. */
  end(error?: Error): void;
}

interface Reader<T> {
  give(event: T): Promise<void>;
  end(error?: Error): void;
}

export function createIterations<T>(): Iterations<T> {
  const readers = new Set<Reader<T>>();
  let ended: [error?: Error | undefined] | undefined;

  function add(signal?: AbortSignal): AsyncIterableIterator<T> {
    const given: T[] = [];
    let over: typeof ended;
    let wake = () => {};
    let handled = () => {};
    let forget = () => {};
    const reader: Reader<T> = {
      give(event) {
        given.push(event);
        wake();
        return new Promise((resolve) => {
          handled = resolve;
        });
      },
      end(error) {
        readers.delete(reader);
        forget();
        handled();
        over ??= [error];
        wake();
      },
    };
    async function* read(): AsyncGenerator<T, void, void> {
      try {
        yield undefined as T;
        for (;;) {
          if (given.length > 0) {
            yield given.shift() as T;
            // Asking for the next one says that the one before is done with.
            handled();
          } else if (over) {
            if (over[0]) throw over[0];
            return;
          } else {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        }
      } finally {
        reader.end();
      }
    }
    readers.add(reader);
    if (ended) reader.end(ended[0]);
    else if (signal?.aborted) reader.end();
    else if (signal) forget = onAbort(signal, reader.end);
    const iterator = read();
    // Up to its first `yield`: what has not begun does not end in order.
    void iterator.next();
    return iterator;
  }

  return {
    add,
    give: async (event) => readers.size > 0 && Promise.all([...readers].map((reader) => reader.give(event))),
    end(error) {
      ended = [error];
      for (const reader of [...readers]) reader.end(error);
    },
  };
}
