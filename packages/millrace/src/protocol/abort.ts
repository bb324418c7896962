/** What is needed of an `AbortSignal`: these types are also read where there is none. */
interface Signal {
  addEventListener(type: "abort", listener: () => void): void;
}

/**
 * One listener for each of the application's signals, however many it ends. With one for each, Node warns of a leak at
 * the eleventh; and `AbortSignal.any` leaves some 50 bytes in a long-lived signal at every call (Node 20).
 */
const endings = new WeakMap<Signal, Set<() => void>>();

/** Calls `end` when the signal aborts, which it has not yet. Answers with a function that forgets it. */
export function onAbort(signal: Signal, end: () => void): () => void {
  const ends = endings.get(signal) ?? new Set();
  if (!endings.has(signal)) {
    endings.set(signal, ends);
    signal.addEventListener("abort", () => {
      for (const each of ends) each();
    });
  }
  ends.add(end);
  return () => ends.delete(end);
}
