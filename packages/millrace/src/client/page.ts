/** What of the page a connection listens to; nothing of it is there in Node. */
interface Page {
  addEventListener?(type: string, listener: (event: { persisted?: boolean }) => void): void;
  removeEventListener?(type: string, listener: (event: { persisted?: boolean }) => void): void;
  document?: Page & { readonly visibilityState: string };
}

const page = globalThis as Page;

export const isHidden = (): boolean => page.document?.visibilityState === "hidden";

export interface PageListener {
  /** The network is back, or the page is looked at again, whose timers had been slowed down. */
  awake(): void;
  /** Nobody looks at the page any more. */
  hidden(): void;
  /** The browser keeps the page for a way back (bfcache): a page with an open connection it may not keep. */
  left(): void;
  /** The page is back from there. */
  returned(): void;
}

/** Answers with a function that ends it. */
export function watchPage(listener: PageListener): () => void {
  const looked = () => (isHidden() ? listener.hidden() : listener.awake());
  const shown = ({ persisted }: { persisted?: boolean }) => persisted && listener.returned();
  const targets: [Page | undefined, string, (event: { persisted?: boolean }) => void][] = [
    [page, "online", () => listener.awake()],
    [page.document, "visibilitychange", looked],
    [page, "pagehide", () => listener.left()],
    [page, "pageshow", shown],
  ];
  for (const [target, type, call] of targets) target?.addEventListener?.(type, call);
  return () => {
    for (const [target, type, call] of targets) target?.removeEventListener?.(type, call);
  };
}
