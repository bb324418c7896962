/** What is used of an EventSource, the browser's or ours. */
export interface Source {
  readonly url: string;
  readonly readyState: number;
  readonly withCredentials: boolean;
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  // biome-ignore lint/suspicious/noExplicitAny: events of all kinds
  addEventListener(type: string, listener: (event: any) => unknown, options?: { once?: boolean }): void;
  removeEventListener(type: string, listener: (event: never) => unknown): void;
  close(): void;
}

export type SourceClass = new (url: string, init?: { withCredentials?: boolean }) => Source;

/** Code that runs in the test or in a page: it must not use anything from around it. */
export type Script = (source: Source, note: (entry: string) => void) => void;

/**
 * Opens a stream and writes down what its listeners see: type, data, id, and the state at that moment. Runs in a page,
 * too, so it must be whole in itself.
 */
export function observe(
  create: SourceClass,
  url: string,
  {
    types,
    withCredentials,
    script,
  }: { types: readonly string[]; withCredentials: boolean; script?: Script | undefined },
): { log: string[]; source: Source } {
  const log: string[] = [];
  const source = new create(url, { withCredentials });
  for (const type of types) {
    source.addEventListener(type, (event) => {
      const message = "data" in event ? ` ${JSON.stringify(event.data)} #${event.lastEventId}` : "";
      const origin = "data" in event && event.origin !== new URL(url).origin ? ` from elsewhere` : "";
      log.push(`${event.type}${message}${origin} (${source.readyState})`);
    });
  }
  script?.(source, (entry) => log.push(entry));
  return { log, source };
}
