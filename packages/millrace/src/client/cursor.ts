/** Where a cursor outlives the page: `sessionStorage`, `localStorage`, or anything of their kind. */
export interface CursorStore {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** Under which name a cursor is kept in `sessionStorage`, or where else. */
export type Persist = string | { readonly key: string; readonly store: CursorStore };

/** Ids of a hub that are remembered, to tell an event that comes again. */
export const remembered = 1024;

/**
 * Where a client is in its channels. It moves behind an event once the handlers have returned: so over a crash of the page
 * an event may come again, but none is left out.
 */
export interface Cursor {
  readonly id: string;
  moveTo(id: string): void;
  /** Whether an event of a hub was given to the handlers before. */
  hasSeen(id: string): boolean;
  /** An event of a hub has been handled. */
  saw(id: string): void;
}

export function createCursor(id: string, persist: Persist | undefined): Cursor {
  const seen = new Set<string>();
  const key = typeof persist === "string" ? persist : (persist?.key ?? "");
  let store: CursorStore | undefined;
  try {
    store =
      typeof persist === "string" ? (globalThis as { sessionStorage?: CursorStore }).sessionStorage : persist?.store;
    id = store?.getItem(key) || id;
  } catch {
    // Forbidden by the browser's settings: the cursor then lives as long as the page.
  }
  return {
    get id() {
      return id;
    },
    moveTo(to) {
      if (to === id) return;
      id = to;
      try {
        store?.setItem(key, id);
      } catch {
        // Full.
      }
    },
    hasSeen: (id) => seen.has(id),
    saw: (id) => remember(seen, id),
  };
}

/** Adds an id, in place of the oldest when there are many. */
export function remember(ids: Set<string>, id: string): void {
  ids.add(id);
  // The first of a set is its oldest.
  for (const oldest of ids) return void (ids.size > remembered && ids.delete(oldest));
}
