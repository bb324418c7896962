// Publishing: requests a second, events a second, and the time from a publish to its subscriber, each beside bare node:http
// in the same run. The hub with its disk store at the default durability, and node:http, on one core in turn; the load on
// the other (support/publishers.mjs).
//
//   npm run build && npm run bench -- publish [OPTIONS]
//
// - single: 64 keep-alive connections that post one event each time; beside it `hello world`, which neither reads a body nor
//   keeps anything. A ratio of 1 means that publishing costs what the emptiest server does.
// - ndjson: requests of 1,000 events on 4 connections.
// - latency: one publisher at a steady rate, one subscriber; beside it a handler that parses the JSON and writes it to one
//   waiting socket. µs are of processor time a publish, the processor's other work included: at 50/s everything is cold.
import path from "node:path";
import { startHub } from "./support/hub.mjs";
import { only, options } from "./support/options.mjs";
import { cpuSeconds, message, pinning, start, stop } from "./support/process.mjs";
import { middle, progress, report, rounded } from "./support/report.mjs";

const values = options({
  repeats: { default: 3, help: "runs of each; the median is shown" },
  seconds: { default: 5, help: "how long each run is measured, in seconds" },
  only: { help: "single, ndjson, latency; commas between" },
});
const { repeats, seconds, json } = values;
const support = (name) => path.join(import.meta.dirname, "support", name);
const wanted = new Set(only(values.only, ["single", "ndjson", "latency"]));

const connections = 64;
const batch = 1000;
const rates = [50, 2000];
const event = `{"channel":"bench","data":"${"x".repeat(100)}"}`;

const post = (type, body) =>
  `POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const publish = post("application/json", event);
const hello = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/** What the load says of a plan, and the server's processor time while it counted, in seconds. */
async function measure(pid, plan) {
  const load = start(support("publishers.mjs"), [], { cpu: 1 });
  load.send(plan);
  await message(load, (value) => value === "ready");
  if (!plan.rate) await new Promise((resolve) => setTimeout(resolve, 2000)); // a server is compiled while it runs
  const begun = message(load, (value) => value === "begun");
  load.send("begin");
  await begun;
  const before = cpuSeconds(pid);
  const result = await message(load, (value) => typeof value === "object");
  const serverCpu = cpuSeconds(pid) - before;
  await stop(load);
  return { ...result, serverCpu };
}

async function withHub(plan) {
  const hub = await startHub();
  const measured = await measure(hub.pid, { port: hub.port, ...plan(hub.port) });
  await hub.stop();
  return measured;
}

async function withBare(plan) {
  const server = start(support("bare-http.mjs"), [], { cpu: 0 });
  const { port, waitingPort } = await message(server);
  const measured = await measure(server.pid, { port, ...plan(waitingPort) });
  await stop(server);
  return measured;
}

async function repeated(what, hub, bare) {
  const runs = { hub: [], bare: [] };
  for (let run = 1; run <= repeats; run++) {
    if (bare) runs.bare.push(await withBare(bare));
    runs.hub.push(await withHub(hub));
    progress(`${what}: run ${run} of ${repeats}`);
  }
  return { hub: middle(runs.hub), bare: bare && middle(runs.bare) };
}

const rows = [];
if (wanted.has("single")) {
  const plan = (request) => () => ({ connections, request, seconds });
  const { hub, bare } = await repeated("single", plan(publish), plan(hello));
  rows.push({
    what: `single events, ${connections} connections`,
    hub: Math.round(hub.perSecond),
    "bare node:http": Math.round(bare.perSecond),
    unit: "requests/s",
    ratio: rounded(hub.perSecond / bare.perSecond),
  });
  rows.push({ what: "… cores used by the load", hub: rounded(hub.loadCpu), "bare node:http": rounded(bare.loadCpu) });
}
if (wanted.has("ndjson")) {
  const request = post("application/x-ndjson", `${event}\n`.repeat(batch));
  const { hub } = await repeated("ndjson", () => ({ connections: 4, request, seconds }));
  rows.push({ what: `NDJSON, ${batch} events a request`, hub: Math.round(hub.perSecond * batch), unit: "events/s" });
  rows.push({ what: "… cores used by the load", hub: rounded(hub.loadCpu) });
}
if (wanted.has("latency")) {
  for (const rate of rates) {
    const count = rate * seconds;
    const plan = (path) => (port) => ({ connections: 1, request: publish, rate, count, subscribe: { port, path } });
    const { hub, bare } = await repeated(`latency at ${rate}/s`, plan("/events?channel=bench"), plan("/"));
    const row = (what, unit, value) => ({
      what: `${what} at ${rate}/s`,
      hub: rounded(value(hub), 3),
      "bare node:http": rounded(value(bare), 3),
      unit,
      ratio: rounded(value(hub) / value(bare)),
    });
    rows.push(row("publish to receive, p50", "ms", ({ p50Ms }) => p50Ms));
    rows.push(row("publish to receive, p99", "ms", ({ p99Ms }) => p99Ms));
    rows.push(row("processor time of a publish", "µs", ({ serverCpu }) => (serverCpu * 1e6) / count));
  }
}
report({ title: `Publishing, ${pinning}, median of ${repeats}`, rows, json });
