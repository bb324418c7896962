import { createHook } from "node:async_hooks";
import { until } from "../http/support/until.js";

const waiting = new Set<number>();

// Not `process.getActiveResourcesInfo()`: the test runner has timers too, that come and go.
createHook({
  init(id, type) {
    if (type === "Timeout" && new Error().stack?.includes("/src/sources/")) waiting.add(id);
  },
  destroy(id) {
    waiting.delete(id);
  },
}).enable();

/** How many timers of the sources are waited for. */
export const timers = (): number => waiting.size;

/** Node tells a little later that a timer was cleared. */
export const noTimers = (): Promise<void> => until("no timers", () => timers() === 0);

/** What Node warned of while `work` ran. */
export async function warningsOf(work: () => Promise<void>): Promise<string[]> {
  const warnings: string[] = [];
  const listen = (warning: Error) => warnings.push(warning.message);
  process.on("warning", listen);
  await work();
  await new Promise((resolve) => setImmediate(resolve)); // they are told of in a turn of their own
  process.off("warning", listen);
  return warnings;
}
