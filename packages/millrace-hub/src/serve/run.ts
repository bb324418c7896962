import { createSampler } from "../system/sampler.js";
import { type Running, type ServeValues, startHub } from "./serve.js";

/** How often the machine's figures are published, in milliseconds. */
const sampleMs = 1000;

/** `serve`, and `demo`: runs until it is told to stop, and answers with the exit code. */
export async function runHub(values: ServeValues, { demo }: { readonly demo: boolean }): Promise<number> {
  const running = await startHub(values, { pages: demo });
  const stopDemo = demo ? publishFigures(running) : () => {};
  process.stdout.write(`Millrace listens on ${running.url}\n`);
  const signal = await nextSignal();
  running.log.info(`${signal}: no new connections, ${running.hub.stats().connections} clients are told to come back`);
  nextSignal().then(() => process.exit(1)); // a second one does not wait
  stopDemo();
  await running.stop();
  running.log.info("stopped");
  return 0;
}

function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => resolve(signal));
  });
}

/** Publishes the machine's figures on the channel `system`. */
function publishFigures({ hub, metrics, log }: Running): () => void {
  const sampler = createSampler(() => {
    const { connections, users, published, deliveries } = hub.stats();
    return { connections, users, publishedTotal: published, deliveriesTotal: deliveries, ...metrics.requests() };
  });
  const publish = () => {
    hub
      .publish({ channel: "system", data: sampler.sample() })
      .catch((error: Error) => log.warn(`the figures were not published: ${error.message}`));
  };
  publish();
  const timer = setInterval(publish, sampleMs);
  return () => {
    clearInterval(timer);
    sampler.close();
  };
}
