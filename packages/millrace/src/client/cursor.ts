/** Where a cursor outlives the page: `sessionStorage`, `localStorage`, or anything of their kind. */
export interface CursorStore {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** Ids of a hub that are remembered, to tell an event that comes again. */
const remembered = 1024;

/**
 * Where a client is in its channels. It moves behind an event once the handlers have returned: so over a crash of the page
 * an event may come again, but none is left out.
 */
export class Cursor {
  readonly #store: CursorStore | undefined;
  readonly #key: string;
  readonly #seen = new Set<string>();
  #id: string;

  constructor(id: string, store: CursorStore | undefined, key: string) {
    this.#store = store;
    this.#key = key;
    this.#id = load(store, key) ?? id;
  }

  get id(): string {
    return this.#id;
  }

  /** Whether an event of a hub was given to the handlers before. */
  hasSeen(id: string): boolean {
    return this.#seen.has(id);
  }

  /** An event of a hub has been handled. */
  saw(id: string): void {
    this.#seen.add(id);
    if (this.#seen.size <= remembered) return;
    for (const oldest of this.#seen) {
      this.#seen.delete(oldest);
      return;
    }
  }

  moveTo(id: string): void {
    if (id === this.#id) return;
    this.#id = id;
    try {
      this.#store?.setItem(this.#key, id);
    } catch {
      // Full, or forbidden by the browser's settings: the cursor then lives as long as the page.
    }
  }
}

function load(store: CursorStore | undefined, key: string): string | undefined {
  try {
    return store?.getItem(key) || undefined;
  } catch {
    return undefined;
  }
}
