// Idle: as many idle streams as this machine's limits allow, their memory with the kernel's, and the herd after a crash.
//
//   npm run build && npm run bench -- idle [OPTIONS]
//
// Several hubs on one core, each with a disk store of its own, as many as open files for one process make necessary; on the
// other core as many processes with clients, from several loopback addresses each, since one has some 28,000 ports. Of
// both ends the kernel's memory is on this machine; a server has one of them. Then all hubs are killed (kill -9) and
// started again on their ports and stores, and events are published while the clients, each after its own time, come
// back. --retry is the hub's, in seconds; 0 spreads the herd so that some 8,000 come back a second. Linux only.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startHub } from "./support/hub.mjs";
import { options } from "./support/options.mjs";
import { message, pinning, start, stop } from "./support/process.mjs";
import { progress, report, rounded } from "./support/report.mjs";

const values = options({
  connections: { default: 200_000, help: "streams, or fewer where a limit is lower" },
  perHub: { default: 0, least: 0, help: "streams of one hub at most; 0: as many as open files allow" },
  retry: { default: 0, least: 0, help: "seconds that clients are told to wait; 0: by the number of streams" },
});
/** Fewer do not stand out of what a process takes by itself. */
const leastToTell = 5000;
const [before, missed] = [5, 10];
const ownFiles = 400;
const mostPerHub = 100_000;
/** What a connection may take here: the hub's, the client's, and both ends in the kernel. */
const kilobytes = 30;
const pageKb = 4;

const readNumber = (file, pattern) => Number(pattern.exec(fs.readFileSync(file, "utf8"))?.[1]);
const kilobytesAvailable = () => readNumber("/proc/meminfo", /^MemAvailable:\s+(\d+)/m);

/** How many streams there may be, and what keeps it from being more. */
function limits() {
  const files = readNumber("/proc/self/limits", /^Max open files\s+(\d+)/m) || Infinity;
  const perHub = values.perHub || Math.min(files - ownFiles, mostPerHub);
  const why = values.perHub
    ? "--perHub"
    : perHub < mostPerHub
      ? `${files} open files a process`
      : "what one core bears";
  const all = [
    [values.connections, "--connections"],
    [Math.floor(kilobytesAvailable() / kilobytes), `memory, at ${kilobytes} KB for each`],
    [Math.floor((readNumber("/proc/sys/fs/file-max", /(\d+)/) - 10_000) / 2), "fs.file-max"],
    [250 * perHub, "250 loopback networks"],
  ].sort(([a], [b]) => a - b);
  const [connections, bound] = all[0];
  return { connections, bound, perHub, why };
}

const memoryOf = (pid) => readNumber(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+)/m);
const sumOf = (list, of) => list.reduce((sum, item) => sum + of(item), 0);

/** KB of the kernel's own objects: sockets, files, and what belongs to them; undefined where only root may look. */
function slabs() {
  try {
    const lines = fs.readFileSync("/proc/slabinfo", "utf8").split("\n").slice(2, -1);
    return sumOf(lines, (line) => {
      const [, , objects, bytes] = line.split(/\s+/);
      return (Number(objects) * Number(bytes)) / 1024;
    });
  } catch {
    return undefined;
  }
}

const memory = (hubs, groups) => ({
  hubs: sumOf(hubs, ({ pid }) => memoryOf(pid)),
  clients: sumOf(groups, ({ child }) => memoryOf(child.pid)),
  slabs: slabs(),
  tcpKb: readNumber("/proc/net/sockstat", /^TCP:.* mem (\d+)/m) * pageKb,
  available: kilobytesAvailable(),
});

async function publish({ url }, from, count) {
  const lines = Array.from({ length: count }, (_, at) => JSON.stringify({ channel: "bench", data: `n=${from + at};` }));
  const headers = { "content-type": "application/x-ndjson" };
  const answer = await fetch(`${url}/publish`, { method: "POST", headers, body: lines.join("\n") });
  if (!answer.ok) throw new Error(await answer.text());
  await answer.text();
}

/** Clients of one hub. `state` is what they said last. */
function startGroup(hub, connections, at) {
  const network = `127.0.${2 + at}`;
  const child = start(path.join(import.meta.dirname, "support/idlers.mjs"), [hub.port, connections, network], {
    cpu: 1,
  });
  const group = { child, connections, state: { open: 0, whole: 0, lost: 0, twice: 0, failures: 0, upTo: 0 } };
  child.on("message", (state) => {
    group.state = state;
  });
  return group;
}

/** Waits until all clients meet something; says every few seconds how many do. Resolves to the time it took. */
async function all(groups, what, count, limitMs = 300_000) {
  const total = sumOf(groups, ({ connections }) => connections);
  const startMs = performance.now();
  for (let said = startMs; ; ) {
    const met = sumOf(groups, ({ state }) => count(state));
    const nowMs = performance.now();
    if (met === total) return nowMs - startMs;
    if (nowMs - startMs > limitMs) throw new Error(`${met} of ${total} ${what} after ${limitMs} ms`);
    if (nowMs - said > 5000) {
      progress(`  ${met.toLocaleString("en-US")} of ${total.toLocaleString("en-US")} ${what}`);
      said = nowMs;
    }
    await sleep(100);
  }
}

function tell(groups, what) {
  for (const { child } of groups) child.send(what);
}

const { connections, bound, perHub, why } = limits();
const count = Math.ceil(connections / perHub);
const retryS = values.retry || Math.max(2, Math.ceil(connections / 8000));
progress(`${connections} streams (limited by ${bound}) on ${count} hubs, ${perHub} each at most (limited by ${why})`);

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "millrace-bench-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
const argsOf = (at) => [
  "--retry",
  `${retryS}s`,
  "--allow-anonymous",
  "--store",
  `disk:${path.join(folder, String(at))}`,
];
let hubs = [];
for (let at = 0; at < count; at++) hubs.push(await startHub({ args: argsOf(at) }));
const groups = hubs.map((hub, at) => startGroup(hub, Math.min(perHub, connections - at * perHub), at));
await Promise.all(groups.map(({ child }) => message(child)));
await sleep(5000); // what starting has left behind is collected

const empty = memory(hubs, groups);
tell(groups, "open");
const openMs = await all(groups, "are open", ({ open }) => open);
progress("  all are open; waiting until heartbeats have gone round");
await sleep(17_000);
const cpuBefore = sumOf(hubs, (hub) => hub.cpuSeconds());
await sleep(15_000);
const idleCpu = (sumOf(hubs, (hub) => hub.cpuSeconds()) - cpuBefore) / 15;
const full = memory(hubs, groups);

tell(groups, { upTo: before });
await Promise.all(hubs.map((hub) => publish(hub, 0, before)));
await all(groups, "have what was published", ({ whole, upTo }) => (upTo === before ? whole : 0));

progress(`kill -9 of ${count} hubs`);
const failuresBefore = sumOf(groups, ({ state }) => state.failures);
await Promise.all(hubs.map((hub) => hub.stop()));
tell(groups, { upTo: before + missed });
const killedMs = performance.now();
hubs = await Promise.all(hubs.map((hub, at) => startHub({ args: [...argsOf(at), "--port", String(hub.port)] })));
const startedMs = performance.now() - killedMs;
await Promise.all(hubs.map((hub) => publish(hub, before, missed)));
await all(groups, "are back and have everything", ({ whole, upTo }) => (upTo === before + missed ? whole : 0));
const backMs = performance.now() - killedMs;
const herdCpu = sumOf(hubs, (hub) => hub.cpuSeconds());
await Promise.all([...groups.map(({ child }) => stop(child)), ...hubs.map((hub) => hub.stop())]);

const each = (name) => (full[name] - empty[name]) / connections;
const kernelKb =
  (empty.slabs === undefined
    ? (empty.available - full.available) / connections - each("hubs") - each("clients")
    : each("slabs") + each("tcpKb")) / 2;
const hubKb = full.hubs / connections;
const sums = (kb) => `200,000: ${rounded((kb * 200_000) / 1024 ** 2)} GB`;
const tooFew = `too few connections to tell: ${leastToTell.toLocaleString("en-US")} are the least`;
const memoryRows = [
  ["hub, all of it: KB each", rounded(hubKb), sums(hubKb), `${count} processes, with what they had at first`],
  ["hub, growth: KB each", rounded(each("hubs")), "", "what was collected meanwhile is taken off"],
  [
    "kernel, one end: KB each",
    rounded(kernelKb),
    sums(kernelKb),
    `half of what both ends took (${empty.slabs === undefined ? "MemAvailable" : "slabinfo and sockstat"})`,
  ],
  ["hub and kernel: KB each", rounded(hubKb + kernelKb), sums(hubKb + kernelKb), "what a server needs"],
  [
    "a client of this benchmark: KB each",
    rounded(each("clients")),
    "",
    "a Node process with the least that holds a stream",
  ],
];
const rows = [
  ["streams", connections, "", ""],
  ...(connections < leastToTell ? [["memory", tooFew, "", ""]] : memoryRows),
  ["time to open all: s", rounded(openMs / 1000, 1), `${Math.round((connections / openMs) * 1000)}/s`, ""],
  ["CPU while idle: % of a core", rounded(idleCpu * 100, 1), "", "a heartbeat to each every 15 s"],
  ["kill -9, hubs answer again: s", rounded(startedMs / 1000, 1), "", ""],
  ["all are back with all events: s", rounded(backMs / 1000, 1), `told to wait ${retryS} to ${2 * retryS} s`, ""],
  ["CPU of the herd: s", rounded(herdCpu, 1), "", "of all hubs together"],
  ["attempts that failed", sumOf(groups, ({ state }) => state.failures) - failuresBefore, "", "each waits longer then"],
  [
    "events lost",
    sumOf(groups, ({ state }) => state.lost),
    "",
    `of ${before + missed} to each, ${missed} of them after the crash`,
  ],
  ["events that came twice", sumOf(groups, ({ state }) => state.twice), "", ""],
].map(([figure, value, more, note]) => ({ figure, value, more, note }));
report({
  title: `${connections.toLocaleString("en-US")} idle streams on ${count} hubs`,
  rows,
  notes: [`Limited by ${bound}; a hub and a process with clients by ${why}.`, `${pinning}; Node ${process.version}.`],
  json: values.json,
});
