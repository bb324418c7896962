// Fan-out: 1,000 subscribers of one channel, the hub with its disk store on one core, the load on the other.
//
//   npm run build && npm run bench            (node bench/fanout.mjs --subscribers 1000 --repeats 3)
//
// Beside it, in turn, a bare Node server that writes one shared Buffer to each socket (support/sockets.mjs): a ratio of 1
// means that log, cursors, channels and publishing cost nothing. Linux only: processor time is read from /proc.
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { cpuSeconds, median, message, start } from "./support/process.mjs";

const here = import.meta.dirname;
const { values } = parseArgs({
  options: {
    subscribers: { type: "string", default: "1000" },
    repeats: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
const subscribers = Number(values.subscribers);
const repeats = Number(values.repeats);
/** Events a second, how many in all, and how many a request carries. */
const loads = [
  { rate: 50, count: 300, batch: 1 },
  { rate: 5000, count: 25_000, batch: 25 },
];

const readers = (port, url, last) =>
  start(path.join(here, "support/readers.mjs"), [port, url, subscribers, last], { cpu: 1 });

async function measureReference({ rate, count }) {
  const server = start(path.join(here, "support/sockets.mjs"), [subscribers, rate, count], { cpu: 0 });
  const { port } = await message(server, (value) => value.port);
  const clients = readers(port, "/", count - 1);
  await message(server, (value) => value === "start");
  return finish(server.pid, server, clients, count);
}

async function measureHub({ rate, count, batch }) {
  const store = fs.mkdtempSync(path.join(os.tmpdir(), "millrace-bench-"));
  const bin = path.join(here, "../packages/millrace-hub/bin/millrace-hub.js");
  const hub = start(bin, ["serve", "--port", "0", "--store", `disk:${store}`, "--log-level", "warn"], { cpu: 0 });
  const [line] = await once(hub.stdout, "data");
  const url = /http:\S+/.exec(line.toString())[0];
  const clients = readers(new URL(url).port, "/events?channel=bench", count - 1);
  await message(clients, (value) => value === "open");
  const result = finish(hub.pid, hub, clients, count);
  await publish(url, { rate, count, batch });
  const measured = await result;
  fs.rmSync(store, { recursive: true });
  return measured;
}

/** Publishes in requests of `batch` events, so many events a second. One request at a time: the readers wait for the last. */
async function publish(url, { rate, count, batch }) {
  const headers = { "content-type": "application/x-ndjson" };
  const startMs = performance.now();
  for (let first = 0; first < count; first += batch) {
    await sleep(startMs + (first / rate) * 1000 - performance.now());
    const lines = [];
    for (let n = first; n < Math.min(count, first + batch); n++) {
      lines.push(JSON.stringify({ channel: "bench", data: `n=${n};t=${process.hrtime.bigint()};`.padEnd(100, "x") }));
    }
    const answer = await fetch(`${url}/publish`, { method: "POST", headers, body: lines.join("\n") });
    if (!answer.ok) throw new Error(await answer.text());
    await answer.text();
  }
}

async function finish(pid, server, clients, count) {
  const before = cpuSeconds(pid);
  const startMs = performance.now();
  const { p50Ms, p99Ms } = await message(clients, (value) => value.p50Ms !== undefined);
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = cpuSeconds(pid) - before;
  server.kill("SIGKILL");
  await once(server, "exit");
  return {
    microseconds: (cpu * 1e6) / (count * subscribers),
    perSecond: (count * subscribers) / seconds,
    p50Ms,
    p99Ms,
  };
}

const rows = [];
for (const load of loads) {
  const measured = { reference: [], hub: [] };
  for (let run = 0; run < repeats; run++) {
    measured.reference.push(await measureReference(load));
    measured.hub.push(await measureHub(load));
    process.stderr.write(`${load.rate} events/s: run ${run + 1} of ${repeats}\n`);
  }
  const middle = (name, field) => median(measured[name].map((value) => value[field]));
  rows.push({
    "events/s": load.rate,
    "hub µs/delivery": middle("hub", "microseconds").toFixed(2),
    "bare sockets µs/delivery": middle("reference", "microseconds").toFixed(2),
    ratio: (middle("hub", "microseconds") / middle("reference", "microseconds")).toFixed(2),
    "hub deliveries/s": Math.round(middle("hub", "perSecond")),
    "p50 ms": middle("hub", "p50Ms").toFixed(1),
    "p99 ms": middle("hub", "p99Ms").toFixed(1),
  });
}
if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
else console.table(rows);
