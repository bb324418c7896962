import { startReaders } from "./readers.mjs";

/**
 * Measures what a started system delivers: opens `connections` streams, has `count` events published, and waits for
 * `events` deliveries (0: for all that comes), `limitMs` at most. What is measured begins after `warm` deliveries. Stops the
 * system, and resolves to the readers' report with
 * - `cpu`: the seconds of processor time that the system took for it, and `busy`, their share of a core,
 * - `offered`: the events a second that it was given.
 */
export async function measure(system, { connections, count, events, warm = 0, limitMs, native = true }) {
  const { port, requests, lanes, rampMs } = system;
  let [before, beforeMs] = [0, 0];
  const warmed = () => {
    [before, beforeMs] = [system.cpuSeconds(), performance.now()];
  };
  const readers = startReaders({ port, requests, lanes, rampMs, connections, events, warm, warmed, native });
  try {
    await within(60_000, readers.open, "not all subscribers were answered");
    await new Promise((resolve) => setTimeout(resolve, 300)); // what opening has left to do is no part of it
    warmed();
    const published = system.publish().catch((error) => ({ error }));
    const result = await readers.finish({ limitMs, silentMs: events === 0 ? 1000 : 3000 });
    const cpu = system.cpuSeconds() - before;
    const busy = cpu / ((performance.now() - beforeMs) / 1000);
    const { error, seconds } = await within(200, published, "").catch(() => ({}));
    if (error) throw error;
    // A publisher that is slowed down offers less than it was told to; one that is not done has offered no more than came.
    const offered = seconds === undefined ? result.measured / connections / result.seconds : count / seconds;
    return { ...result, cpu, busy, offered };
  } finally {
    await Promise.all([system.stop(), readers.stop()]);
  }
}

function within(ms, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(what)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
