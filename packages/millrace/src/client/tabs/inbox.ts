/** What waits for one reader. When it was too much, nothing of it is given any more. */
export interface Inbox<T> {
  put(item: T): void;
  /** The next one, when there is one; undefined once it has failed. */
  next(): Promise<T | undefined>;
  /** Something is missing: what follows is of no use. */
  fail(): void;
}

/** @param merged one for two that follow each other, where one will do */
export function createInbox<T>(most: number, merged: (last: T, next: T) => T | undefined): Inbox<T> {
  let items: T[] = [];
  let failed = false;
  let wake = () => {};
  const fail = () => {
    failed = true;
    items = [];
    wake();
  };
  return {
    fail,
    put(item) {
      const last = items.at(-1);
      const one = last === undefined ? undefined : merged(last, item);
      if (one === undefined) items.push(item);
      else items[items.length - 1] = one;
      if (failed || items.length > most) fail();
      else wake();
    },
    async next() {
      if (items.length === 0 && !failed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return items.shift();
    },
  };
}
