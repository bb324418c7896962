import { createHub, type Millrace } from "millrace";

// Next.js may load a module more than once in one process: the hub has to be one.
const shared = globalThis as { hub?: Millrace };

if (!shared.hub) {
  const hub = createHub();
  shared.hub = hub;
  // Without this `next start` would wait for the streams to end. Their clients are told to come back.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => hub.close());
}

export const hub = shared.hub;
