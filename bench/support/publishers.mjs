// Publishes from a process of its own and measures what comes of it. Its first message is what to do:
//
//   { port, connections, request, seconds }       every connection asks again as soon as it is answered
//   { port, connections: 1, request, rate, count, subscribe: { port, path } }
//                                                 so many requests a second; how long until a subscriber has each event
//
// `request` is the whole of one, byte by byte: making it must not be what is measured. A second process, or a client that
// understands HTTP, would need more of the load's processor than the server needs of its own.
import { once } from "node:events";
import net from "node:net";

process.on("disconnect", () => process.exit());
const [plan] = await once(process, "message");
const request = Buffer.from(plan.request);

async function connect(port) {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  socket.on("error", fail).on("close", () => fail(new Error("the server closed a connection")));
  return socket;
}

function fail(error) {
  throw error;
}

/** Calls `answered` at the end of each answer. The first is looked at closely, the others have its length to within a little. */
function hear(socket, answered) {
  let heard = "";
  socket.on("data", (bytes) => {
    heard += bytes.latin1Slice();
    const head = heard.indexOf("\r\n\r\n") + 4;
    if (head < 4) return;
    const at = heard.toLowerCase().indexOf("content-length: ");
    const length = Number.parseInt(heard.slice(at + "content-length: ".length), 10);
    if (heard.length < head + length) return;
    if (!heard.startsWith("HTTP/1.1 200")) fail(new Error(heard));
    heard = "";
    answered();
  });
}

async function throughput() {
  let answers = 0;
  const sockets = await Promise.all(Array.from({ length: plan.connections }, () => connect(plan.port)));
  for (const socket of sockets) {
    hear(socket, () => {
      answers++;
      socket.write(request);
    });
    socket.write(request);
  }
  await begin(); // warm: from here on it counts
  const before = { answers, nowMs: performance.now(), cpu: process.cpuUsage() };
  setTimeout(() => {
    const seconds = (performance.now() - before.nowMs) / 1000;
    const { user, system } = process.cpuUsage(before.cpu);
    process.send({ perSecond: (answers - before.answers) / seconds, loadCpu: (user + system) / 1e6 / seconds });
  }, plan.seconds * 1000);
}

async function latency() {
  const { rate, count, subscribe } = plan;
  const subscriber = await connect(subscribe.port);
  subscriber.write(`GET ${subscribe.path} HTTP/1.1\r\nHost: 127.0.0.1:${subscribe.port}\r\n\r\n`);
  await once(subscriber, "data");
  const publisher = await connect(plan.port);
  hear(publisher, () => {});
  const latencies = [];
  let startMs;
  let sentMs = 0;
  const send = () => {
    const waitMs = startMs + (latencies.length / rate) * 1000 - performance.now();
    // A timer has whole milliseconds: the rest is waited for in turns, which cost nobody else.
    if (waitMs > 2) setTimeout(send, waitMs - 1);
    else if (waitMs > 0) setImmediate(send);
    else {
      sentMs = performance.now();
      publisher.write(request);
    }
  };
  subscriber.on("data", (bytes) => {
    if (sentMs === 0 || !bytes.includes("data: ")) return;
    latencies.push(performance.now() - sentMs);
    sentMs = 0;
    if (latencies.length < count) send();
    else finish();
  });
  const finish = () => {
    latencies.sort((a, b) => a - b);
    const at = (part) => latencies[Math.floor((latencies.length - 1) * part)];
    process.send({ p50Ms: at(0.5), p99Ms: at(0.99) });
  };
  await begin();
  startMs = performance.now();
  send();
}

/** Everything is connected: resolves when the one who measures is ready, too. */
async function begin() {
  process.send("ready");
  await once(process, "message");
  process.send("begun");
}

await (plan.rate ? latency() : throughput());
