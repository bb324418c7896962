/** What is used of the Web Locks API. */
interface Locks {
  request(
    name: string,
    options: { readonly signal?: AbortSignal; readonly steal?: boolean },
    held: () => Promise<void>,
  ): Promise<void>;
  query(): Promise<unknown>;
}

/** What is used of a `BroadcastChannel`. */
export interface Channel {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

export interface Browser {
  readonly locks: Locks;
  readonly openChannel: (name: string) => Channel;
}

/** Undefined where tabs cannot talk to each other: locks are for secure contexts only (https, localhost). */
export function findBrowser(): Browser | undefined {
  const { navigator, BroadcastChannel } = globalThis as unknown as {
    navigator?: { readonly locks?: Locks };
    BroadcastChannel?: new (name: string) => Channel;
  };
  const locks = navigator?.locks;
  if (!locks || !BroadcastChannel) return undefined;
  return { locks, openChannel: (name) => new BroadcastChannel(name) };
}
