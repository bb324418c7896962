// Memory of an idle subscriber: 10,000 streams that hear nothing but heartbeats, and what the server's process grew by.
//
//   npm run build && node bench/memory.mjs            (--connections 10000 --only hub --json)
//
// Beside the hub, one after the other: a bare node:http server that holds its responses, and a bare net server that
// holds its sockets. Linux only: memory is read from /proc. Nothing is collected from outside; a process counts as
// settled when it has not grown or shrunk for a while.
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { message, start } from "./support/process.mjs";

const here = import.meta.dirname;
const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "10000" },
    json: { type: "boolean", default: false },
    only: { type: "string" },
  },
});
const connections = Number(values.connections);

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

async function startHub() {
  const store = fs.mkdtempSync(path.join(os.tmpdir(), "millrace-bench-"));
  const bin = path.join(here, "../packages/millrace-hub/bin/millrace-hub.js");
  const options = ["--port", "0", "--store", `disk:${store}`, "--log-level", "warn", "--allow-anonymous"];
  const server = start(bin, ["serve", ...options], { cpu: 0 });
  const [line] = await once(server.stdout, "data");
  server.once("exit", () => fs.rmSync(store, { recursive: true }));
  return { server, port: new URL(/http:\S+/.exec(line.toString())[0]).port, target: "/events?channel=bench" };
}

async function startBare(kind) {
  const server = start(path.join(here, "support/idle.mjs"), [kind], { cpu: 0 });
  const { port } = await message(server, (value) => value.port);
  return { server, port, target: "/" };
}

async function measure(name, starting) {
  const { server, port, target } = await starting;
  const children = [server];
  try {
    const before = await settled(server.pid);
    const request = `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\nUser-Agent: bench\r\n\r\n`;
    const clients = start(path.join(here, "support/holders.mjs"), [port, request, connections], { cpu: 1 });
    children.push(clients);
    await message(clients, (value) => value === "open");
    return row(name, before, await settled(server.pid));
  } finally {
    for (const child of children.reverse()) {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    }
  }
}

function row(name, before, after) {
  const perConnection = (field) => Number(((after[field] - before[field]) / connections).toFixed(2));
  return {
    server: name,
    connections,
    "KB each (resident)": perConnection("rss"),
    "KB each (private)": perConnection("private"),
    "MB before": Number((before.rss / 1024).toFixed(1)),
    "MB after": Number((after.rss / 1024).toFixed(1)),
  };
}

const servers = {
  "millrace-hub": startHub,
  "node:http, response held": () => startBare("http"),
  "net, socket held": () => startBare("net"),
};
const rows = [];
for (const [name, starting] of Object.entries(servers)) {
  if (values.only && !name.includes(values.only)) continue;
  rows.push(await measure(name, starting()));
  process.stderr.write(`${name}: done\n`);
}
if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
else console.table(rows);
