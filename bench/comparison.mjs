// Comparison: the same work by Server-Sent Events, WebSocket, polling and long-polling: memory, CPU, bytes, delay, waste.
//
//   npm run build && node bench/peers/install.mjs npm
//   npm run bench -- comparison [OPTIONS]
//
// With --serve it goes on as a server: GET /report at the address that it prints is the report as JSON (--port 0 takes
// any). --serve --last serves that of the last run without another.
//
// Each server is on one core and its clients on another; they send the headers of a browser. At 20 events a second every
// poll brings something; at one event in 5 s a poll each second is in vain four times of five. Linux only.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { peers } from "./peers/index.mjs";
import { startHub } from "./support/hub.mjs";
import { numbers, only, options } from "./support/options.mjs";
import { cpuSeconds, message, pinning, start, stop } from "./support/process.mjs";
import { startPublisher } from "./support/publisher.mjs";
import { progress, report, rounded } from "./support/report.mjs";
import { bareSockets, startScript } from "./support/systems.mjs";

const here = import.meta.dirname;
const kept = path.join(here, ".cache/comparison.json");
const values = options({
  connections: { default: 1000, help: "clients of each kind" },
  rates: { default: "20,0.2", parse: numbers(), help: "events a second to each client, a table for each" },
  seconds: { default: 20, help: "how long each is measured, in seconds" },
  only: { help: "names of systems, or parts of them, and figures; commas between" },
  serve: { default: false, help: "when it is done, serve the report at /report" },
  last: { default: false, help: "with --serve: serve the report of the last run, without another" },
  port: { default: 0, least: 0, help: "port of --serve; 0 takes any" },
});
const { connections, rates, seconds } = values;
/** Published figures are of so many connections: beside another number they would say nothing. */
const asPublished = connections === 1000;

/** What Chromium sends to a server of another origin, without cookies: what each request costs on its way. */
const browser = (port, target, own) =>
  [
    `GET ${target} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    ...own,
    "Cache-Control: no-cache",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    `Origin: http://127.0.0.1:${port}`,
    "Accept-Language: en-GB,en;q=0.9",
    "\r\n",
  ].join("\r\n");
const upgrade = [
  ...["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
  ...["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions: permessage-deflate"],
];
const fetched = ["Connection: keep-alive", "Accept: */*"];

async function hubSystem({ rate, count }) {
  const hub = await startHub();
  const publisher = await startPublisher({ port: hub.port, rate, count });
  return { ...hub, publish: publisher.run, stop: () => Promise.all([hub.stop(), publisher.stop()]) };
}

/** A server that publishes by a timer inside. */
const timed = (script, { rate, count }) => startScript(path.join(here, script), [rate, count]);
const polling = (load) => timed("support/polling.mjs", load);
const polls = (port) => browser(port, "/?after=CURSOR", fetched);

/** `published` is what is said elsewhere of the same work, at 1,000 connections. */
const systems = [
  {
    name: "SSE (millrace-hub)",
    start: hubSystem,
    request: (port) => browser(port, "/events?channel=bench", ["Connection: keep-alive", "Accept: text/event-stream"]),
    published: { memory: "85", cpu: "12" },
  },
  {
    // What nobody can do without: a shared Buffer written to each, and nothing else.
    name: "bare Node sockets",
    start: bareSockets.start,
    request: (port) => browser(port, "/", ["Connection: keep-alive", "Accept: text/event-stream"]),
  },
  {
    name: "WebSocket (ws)",
    missing: peers.find(({ name }) => name === "ws").missing,
    start: (load) => timed("peers/ws.mjs", load),
    request: (port) => browser(port, "/", upgrade),
    published: { memory: "120", cpu: "18" },
  },
  {
    name: "polling, every second",
    ...{ kind: "poll", everyMs: 1000, start: polling, request: polls },
    published: { memory: "200–500", cpu: "45", wasted: "80" },
  },
  { name: "polling, every 5 s", ...{ kind: "poll", everyMs: 5000, start: polling, request: polls } },
  {
    name: "long-polling (millrace-hub)",
    ...{ kind: "long", start: hubSystem },
    request: (port) => browser(port, "/events?channel=bench&mode=poll&lastEventId=CURSOR", fetched),
  },
];

const chosen = only(values.only, [...systems.map(({ name }) => name), "figures"]);
const wanted = (name) => chosen.includes(name);

const residentMb = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;

async function measure({ start: startSystem, request, kind = "stream", everyMs }, rate) {
  const server = await startSystem({ rate, count: Math.ceil(rate * (seconds + 60)) });
  let load;
  try {
    await sleep(1000);
    const emptyMb = residentMb(server.pid);
    const plan = { port: server.port, connections, request: request(server.port), kind, everyMs };
    load = start(path.join(here, "support/compared-load.mjs"), [JSON.stringify(plan)], { cpu: 1 });
    await message(load, (value) => value === "open");
    await sleep(1000);
    server.publish().catch(() => {}); // it is stopped before it is done
    await sleep(2000); // the first deliveries are slower than the rest
    load.send("begin");
    await message(load, (value) => value === "begun");
    const [beforeCpu, beforeMs] = [cpuSeconds(server.pid), performance.now()];
    let mostMb = 0;
    for (let second = 0; second < seconds; second++) {
      await sleep(1000);
      mostMb = Math.max(mostMb, residentMb(server.pid));
    }
    const cpu = (cpuSeconds(server.pid) - beforeCpu) / ((performance.now() - beforeMs) / 1000);
    const result = message(load, (value) => value.seconds !== undefined);
    load.send("end");
    return { ...(await result), cpu, mostMb, emptyMb };
  } finally {
    await Promise.all([server.stop(), ...(load ? [stop(load)] : [])]);
  }
}

const percent = (share) => rounded(share * 100, 1);
const skipped = [];
const sections = [];

async function compare(rate) {
  const rows = [];
  for (const system of systems) {
    if (!wanted(system.name)) continue;
    const missing = system.missing?.();
    if (missing !== undefined) {
      skipped.push(`${system.name}: ${missing}`);
      continue;
    }
    progress(`${rate} events/s: ${system.name}`);
    const result = await measure(system, rate);
    const { opening, deliveries } = result;
    const { memory, cpu, wasted } = (asPublished && system.published) || {};
    const published = asPublished
      ? { "published MB": memory, "published CPU %": cpu, "published in vain %": wasted }
      : {};
    rows.push({
      system: system.name,
      "MB resident": rounded(result.mostMb, 1),
      "of which with no clients": rounded(result.emptyMb, 1),
      "CPU % of a core": percent(result.cpu),
      "KB/s both ways": rounded(result.bytesPerSecond / 1000),
      "delay mean ms": rounded(result.meanMs, 1),
      "p50 ms": rounded(result.p50Ms, 1),
      "p99 ms": rounded(result.p99Ms, 1),
      "requests/s": Math.round(result.requestsPerSecond),
      "requests in vain %": percent(result.wasted),
      "delivered/s": Math.round(deliveries / result.seconds),
      "bytes to open (sent + heard)": opening.sent > 0 ? `${opening.sent} + ${opening.heard}` : "none",
      ...published,
    });
  }
  if (rows.length === 0) return;
  sections.push({
    title: `${connections} connections, ${rate} events/s to each, ${seconds} s`,
    rows,
    notes: [
      "Opening takes one round trip behind TCP's own by SSE and WebSocket alike; a poll takes one for every answer.",
      "The hub is published to over HTTP and writes to its disk store; ws and polling get events from a timer inside.",
    ],
  });
}

/** What M29's figures are beside: published elsewhere as goals. */
async function figures() {
  const rows = [];
  const goal = (figure, ours, unit, aim) => rows.push({ figure, ours, unit, goal: aim });
  for (const [subscribers, log, pauseMs] of [
    [1, "memory", 0],
    [1, "disk", 0],
    [1, "disk", 2],
    [1000, "disk", 2],
  ]) {
    const what = `publish() → write(): ${subscribers} subscriber${subscribers > 1 ? "s" : ""}, ${log} log, ${pauseMs > 0 ? `${pauseMs} ms between` : "back to back"}`;
    progress(what);
    const count = pauseMs > 0 ? 1000 : 5000;
    const child = start(path.join(here, "support/push.mjs"), [subscribers, count, log, pauseMs], { cpu: 0 });
    const { meanUs, p50Us, p99Us } = await message(child, (value) => value.meanUs !== undefined);
    await stop(child);
    goal(`${what}, mean`, rounded(meanUs, 1), "µs", subscribers === 1 ? "50" : "–");
    goal(`${what}, p50 and p99`, `${rounded(p50Us, 1)} and ${rounded(p99Us, 1)}`, "µs", "–");
  }
  const [sse] = systems;
  progress("1 event/s");
  const idle = await measure(sse, 1);
  goal("1 event/s: CPU of a core", percent(idle.cpu), "%", asPublished ? "2.1" : "–");
  progress("1,200 bytes of data");
  goal("1,200 bytes of data: payload", percent(await payloadShare()), "% of bytes", "95");
  sections.push({
    title: `The hub, ${connections} connections`,
    rows,
    notes: ["Memory for each connection is what npm run bench -- memory measures, with 10,000 idle ones."],
  });
}

/** Of all bytes that a stream brings, the first block and the head of the answer included. */
async function payloadShare() {
  const [events, bytes] = [200, 1200];
  const hub = await startHub();
  try {
    const controller = new AbortController();
    const { signal } = controller;
    const response = await fetch(`${hub.url}/events?channel=bench`, { signal });
    const head = [...response.headers].reduce((sum, [name, value]) => sum + name.length + value.length + 4, 19);
    const publisher = await startPublisher({ port: hub.port, rate: 0, count: events, dataBytes: bytes });
    await publisher.run();
    let [heard, ends] = [head, 0];
    for await (const chunk of response.body) {
      heard += chunk.length;
      ends +=
        Buffer.from(chunk)
          .toString("latin1")
          .match(/data: /g)?.length ?? 0;
      if (ends >= events) break;
    }
    controller.abort();
    return (events * bytes) / heard;
  } finally {
    await hub.stop();
  }
}

async function run() {
  for (const rate of rates) await compare(rate);
  if (wanted("figures")) await figures();
  const result = {
    title: "Server-Sent Events, WebSocket, polling: the same work",
    at: new Date().toISOString(),
    notes: [`${pinning}; Node ${process.version}.`],
    skipped,
    sections,
  };
  fs.mkdirSync(path.dirname(kept), { recursive: true });
  fs.writeFileSync(kept, JSON.stringify(result));
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    for (const section of sections) report(section);
    for (const line of [...result.notes, ...skipped.map((what) => `skipped: ${what}`)])
      process.stdout.write(`${line}\n`);
  }
}

function serve() {
  const text = fs.readFileSync(kept);
  const server = http.createServer((request, response) => {
    if (request.url === "/report") response.setHeader("Content-Type", "application/json").end(text);
    else response.writeHead(404, { "Content-Type": "text/plain" }).end("The report is at /report\n");
  });
  server.listen(values.port, "127.0.0.1", () =>
    progress(`The report is at http://127.0.0.1:${server.address().port}/report; Ctrl-C ends this`),
  );
}

if (values.last && !fs.existsSync(kept)) {
  progress("There is no last run: leave out --last");
  process.exitCode = 2;
} else {
  if (!values.last) await run();
  if (values.serve) serve();
}
