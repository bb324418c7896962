// Memory: 10,000 idle streams that hear nothing but heartbeats, and what the server's process has grown by for each.
//
//   npm run build && npm run bench -- memory [OPTIONS]
//
// Beside the hub, one after the other: a bare node:http server that holds its responses, and a bare net server that
// holds its sockets. Linux only: memory is read from /proc. Nothing is collected from outside; a process counts as
// settled when it has not grown or shrunk for a while.
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startHub } from "./support/hub.mjs";
import { only, options } from "./support/options.mjs";
import { message, pinning, start, stop } from "./support/process.mjs";
import { progress, report, rounded } from "./support/report.mjs";

const here = import.meta.dirname;
const values = options({
  // Fewer do not stand out of what a process takes by itself.
  connections: { default: 10_000, least: 5000, help: "streams, of which each end is an open file" },
  only: { help: "servers, by parts of their names; commas between" },
});
const { connections } = values;

/** Memory of a process, in KiB: all that is resident, and what nobody else shares. */
function memoryOf(pid) {
  const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  return { rss: field("Rss"), pss: field("Pss"), private: field("Private_Dirty") + field("Private_Clean") };
}

/** Resolves to the memory of a process when it has stayed the same, but for two parts in a hundred, for 10 seconds. */
async function settled(pid) {
  let first = memoryOf(pid);
  let sinceMs = performance.now();
  for (let tries = 0; tries < 240; tries++) {
    await sleep(500);
    const now = memoryOf(pid);
    if (Math.abs(now.rss - first.rss) > first.rss / 50) {
      first = now;
      sinceMs = performance.now();
    } else if (performance.now() - sinceMs > 10_000) return now;
  }
  throw new Error("the process does not settle");
}

async function startBare(kind) {
  const server = start(path.join(here, "support/idle.mjs"), [kind], { cpu: 0 });
  const { port } = await message(server, (value) => value.port);
  return { pid: server.pid, port, target: "/", stop: () => stop(server) };
}

async function measure(name, starting) {
  const { pid, port, target = "/events?channel=bench", ...server } = await starting;
  let clients;
  try {
    const before = await settled(pid);
    const request = `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\nUser-Agent: bench\r\n\r\n`;
    clients = start(path.join(here, "support/holders.mjs"), [port, request, connections], { cpu: 1 });
    await message(clients, (value) => value === "open");
    return row(name, before, await settled(pid));
  } finally {
    if (clients !== undefined) await stop(clients);
    await server.stop();
  }
}

function row(name, before, after) {
  const perConnection = (field) => rounded((after[field] - before[field]) / connections);
  return {
    server: name,
    connections,
    "KB each (resident)": perConnection("rss"),
    "KB each (private)": perConnection("private"),
    "MB before": rounded(before.rss / 1024, 1),
    "MB after": rounded(after.rss / 1024, 1),
  };
}

const servers = {
  "millrace-hub": () => startHub({ args: ["--allow-anonymous"] }),
  "node:http, response held": () => startBare("http"),
  "net, socket held": () => startBare("net"),
};
const rows = [];
for (const name of only(values.only, Object.keys(servers))) {
  progress(`${name}: until it has settled`);
  rows.push(await measure(name, servers[name]()));
}
report({ title: "Memory of idle streams", rows, notes: [`${pinning}; Node ${process.version}.`], json: values.json });
