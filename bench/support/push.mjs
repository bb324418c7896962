// How long it takes from publish() to the socket's write(), inside a hub: node push.mjs SUBSCRIBERS COUNT memory|disk PAUSE
//
// With a PAUSE of so many milliseconds behind each publish the processor has forgotten everything when the next one comes;
// with 0 it comes as soon as the one before has been written.
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createHub, createMemoryLog } from "millrace";
import { openDiskLog } from "millrace/log/disk";

const [subscribers, count, , pauseMs] = process.argv.slice(2).map(Number);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "millrace-bench-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true }));
const log = process.argv[4] === "disk" ? await openDiskLog(folder) : createMemoryLog();
const hub = createHub({ log });
const server = http.createServer((request, response) => hub.node(request, response)).listen(0, "127.0.0.1");
await once(server, "listening");

const delays = [];
let publishedAt = 0n;
const { write } = net.Socket.prototype;
net.Socket.prototype.write = function (...args) {
  if (publishedAt !== 0n && args[0].includes?.("data: push"))
    delays.push(Number(process.hrtime.bigint() - publishedAt));
  return write.apply(this, args);
};

const { port } = server.address();
for (let at = 0; at < subscribers; at++) {
  const socket = net.connect(port, "127.0.0.1");
  socket.write(`GET /events?channel=push HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.resume();
}
const warm = count; // as many again, before it counts: until then the engine compiles
for (let n = 0; n < warm + count; n++) {
  publishedAt = n < warm ? 0n : process.hrtime.bigint();
  await hub.publish({ channel: "push", data: "push".padEnd(85, "x") });
  await (pauseMs > 0 ? sleep(pauseMs) : new Promise(setImmediate));
}
delays.sort((a, b) => a - b);
const at = (part) => delays[Math.floor((delays.length - 1) * part)] / 1000;
const meanUs = delays.reduce((sum, ns) => sum + ns, 0) / delays.length / 1000;
process.send({ writes: delays.length, meanUs, p50Us: at(0.5), p99Us: at(0.99) }, () => process.exit());
