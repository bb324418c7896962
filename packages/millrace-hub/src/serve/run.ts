import v8 from "node:v8";
import { systemFigures } from "millrace/sources";
import { type Running, type ServeValues, startHub } from "./serve.js";

/** How often the machine's figures are published, in milliseconds. */
const sampleMs = 1000;

/** `serve`, and `demo`: runs until it is told to stop, and answers with the exit code. */
export async function runHub(values: ServeValues, { demo }: { readonly demo: boolean }): Promise<number> {
  keepHeapSmall();
  const stopped = nextSignal(); // from now on: one that came before its listener would end the hub with nothing closed
  const running = await startHub(values, { pages: demo });
  const stopDemo = demo ? publishFigures(running) : () => {};
  process.stdout.on("error", () => {}); // whoever waited for the line may have gone: the hub goes on
  process.stdout.write(`Millrace listens on ${running.url}\n`);
  if (demo) running.log.info(`open ${running.url} in a browser: the page shows this machine, and how to publish`);
  const signal = await stopped;
  running.log.info(`${signal}: stopping${toldTo(running.hub.stats().connections)}`);
  nextSignal().then(() => process.exit(1)); // a second one does not wait
  stopDemo();
  await running.stop();
  running.log.info("stopped");
  return 0;
}

/**
 * V8 lets the space for new objects grow with load, to 48 MB, and keeps it when the load is over; and while it is large,
 * what should be collected is not. After 20,000 connects and disconnects the process stayed at 67 MB; so it is back at
 * 17. What it costs is a tenth of the rate at which events are published at full speed, and nothing in deliveries.
 *
 * And it looks for old objects only when there are several times as many as there were: of 19,000 connections that had
 * just come, each held 2 to 4 KB by chance; so it holds 2.2 to 2.7, at no cost that we could measure.
 */
function keepHeapSmall(): void {
  v8.setFlagsFromString("--semi-space-growth-factor=1");
  v8.setFlagsFromString("--heap-growing-percent=30");
}

function toldTo(clients: number): string {
  if (clients === 0) return "";
  return clients === 1 ? ", 1 client is told to come back" : `, ${clients} clients are told to come back`;
}

function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => resolve(signal));
  });
}

/** Publishes the machine's figures on the channel `system`. */
function publishFigures({ hub, metrics, log }: Running): () => void {
  const stopping = new AbortController();
  const failed = (error: Error) => log.warn(`the figures were not published: ${error.message}`);
  const publish = async () => {
    const figures = systemFigures({ everyMs: sampleMs, hub, http: metrics.requests, signal: stopping.signal });
    for await (const data of figures) await hub.publish({ channel: "system", data }).catch(failed);
  };
  publish().catch(failed);
  return () => stopping.abort();
}
