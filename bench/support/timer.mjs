import { dataBytes } from "./sizes.mjs";

/**
 * For servers that publish by a timer inside: when it is told, calls `deliver` with what has fallen due, `[{ n, data }]`,
 * `rate` times a second and `count` in all, waiting for it, and says when it is done. `port` is told at once.
 */
export function publishWhenTold(port, rate, count, deliver) {
  process.send({ port });
  process.on("disconnect", () => process.exit());
  process.once("message", async () => {
    const startMs = performance.now();
    let n = 0;
    while (n < count) {
      const due = Math.min(count, Math.floor(((performance.now() - startMs) / 1000) * rate) + 1);
      const events = [];
      for (; n < due; n++) events.push({ n, data: `n=${n};t=${process.hrtime.bigint()};`.padEnd(dataBytes, "x") });
      if (events.length > 0) await deliver(events);
      const waitMs = startMs + (n / rate) * 1000 - performance.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, waitMs)));
    }
    process.send({ seconds: (performance.now() - startMs) / 1000 });
  });
}
