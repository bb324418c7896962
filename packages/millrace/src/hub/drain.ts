import type { Subscriber } from "./subscriber.js";

interface DrainParts {
  /** The streams that are open. */
  readonly open: readonly Subscriber[];
  /** Tells one to come back. */
  readonly end: (subscriber: Subscriber) => void;
  /** Those that are not gone yet. */
  readonly left: () => Iterable<Subscriber>;
  /** Resolves when there are none. */
  readonly emptied: Promise<void>;
}

/** Ends all streams, a few at a time so that their clients do not come back at once; cuts those left after `drainMs`. */
export async function drain(drainMs: number, { open, end, left, emptied }: DrainParts): Promise<void> {
  const slices = Math.min(20, Math.ceil(open.length / 50));
  const timers: NodeJS.Timeout[] = [];
  for (let slice = 0; slice < slices; slice++) {
    const endSlice = () => {
      for (let at = slice; at < open.length; at += slices) end(open[at] as Subscriber);
    };
    timers.push(setTimeout(endSlice, (slice / slices) * drainMs * 0.7));
  }
  const cut = () => {
    for (const subscriber of left()) subscriber.sink.destroy();
  };
  timers.push(setTimeout(cut, drainMs));
  await emptied;
  for (const timer of timers) clearTimeout(timer);
}
