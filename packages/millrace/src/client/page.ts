import { maxTimerMs } from "../protocol/index.js";

type Listener = (event: { readonly type: string; readonly persisted?: boolean }) => void;

/** What of the page a connection listens to; nothing of it is there in Node. */
interface Page {
  addEventListener?(type: string, listener: Listener, options: { readonly signal: AbortSignal }): void;
  readonly document?: { readonly visibilityState: string };
}

export const isHidden = (): boolean => (globalThis as Page).document?.visibilityState === "hidden";

/**
 * Follows the life of the page. Answers with a function that ends it.
 * @param awake the network is back, the page is looked at again, whose timers had been slowed down, or it is back from
 * the browser's cache
 * @param pause the browser keeps the page for a way back (bfcache), which it may not do with an open connection; or the
 * page has been hidden for `hiddenMs`
 */
export function watchPage(awake: () => void, pause: () => void, hiddenMs = Infinity): () => void {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard: Listener = ({ type, persisted }) => {
    clearTimeout(timer);
    if (type === "pagehide") pause();
    else if (type === "visibilitychange" && isHidden()) {
      if (hiddenMs <= maxTimerMs) timer = setTimeout(pause, hiddenMs);
    } else if (type !== "pageshow" || persisted) awake();
  };
  // What the document is told, the window hears, too.
  for (const type of ["online", "pagehide", "pageshow", "visibilitychange"]) {
    (globalThis as Page).addEventListener?.(type, heard, controller);
  }
  return () => {
    clearTimeout(timer);
    controller.abort();
  };
}
