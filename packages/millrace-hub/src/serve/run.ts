import v8 from "node:v8";
import { type Service, startDemo } from "../demo/restartable.js";
import { type ServeValues, startHub } from "./serve.js";

/** `serve`, and `demo`: runs until it is told to stop, and answers with the exit code. */
export async function runHub(values: ServeValues, { demo }: { readonly demo: boolean }): Promise<number> {
  keepHeapSmall();
  const stopped = nextSignal(); // from now on: one that came before its listener would end the hub with nothing closed
  const service = demo ? await startDemo(values) : await startService(values);
  process.stdout.on("error", () => {}); // whoever waited for the line may have gone: the hub goes on
  process.stdout.write(`Millrace listens on ${service.url}\n`);
  if (demo) service.log.info(`open ${service.url} in a browser: its pages show this machine, and what events are for`);
  const signal = await Promise.race([stopped, service.failed]);
  service.log.info(`${signal}: stopping${toldTo(service.clients())}`);
  nextSignal().then(() => process.exit(1)); // a second one does not wait
  await service.stop();
  service.log.info("stopped");
  return 0;
}

async function startService(values: ServeValues): Promise<Service> {
  const { url, log, hub, stop } = await startHub(values);
  return { url, log, stop, clients: () => hub.stats().connections, failed: new Promise(() => {}) };
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
