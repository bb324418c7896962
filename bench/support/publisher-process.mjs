// Publishes numbered events over HTTP at a steady rate, in a process of its own; publisher.mjs starts it and says the rest.
//
// An event's data is "n=<number>;t=<monotonic ns>;" and filling; the time is taken when its request is made. A connection
// has one request on its way at a time: what falls due meanwhile goes with the next, as far as `batch` allows.
import net from "node:net";

const plan = JSON.parse(process.argv[2]);
const { port, path, rate, count, batch, connections, body, dataBytes, channels, headers, key } = plan;

/** How events become a body, by what the server takes. */
const bodies = {
  json: { type: "application/x-ndjson", make: (events) => events.map((event) => JSON.stringify(event)).join("\n") },
  raw: { type: "text/plain", make: ([event]) => event.data },
  form: {
    type: "application/x-www-form-urlencoded",
    make: ([event]) => `topic=${event.channel}&data=${encodeURIComponent(event.data)}`,
  },
  wrapped: {
    type: "application/json",
    make: ([event]) => JSON.stringify({ channel: event.channel, data: { text: event.data } }),
  },
};
const { type, make } = bodies[body];

/** Sends requests on one connection, one after the other. */
function connect() {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  let heard = "";
  let settle;
  socket.on("data", (bytes) => {
    heard += bytes.latin1Slice();
    const headEnd = heard.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const length = /^content-length: *(\d+)/im.exec(heard.slice(0, headEnd))?.[1];
    const whole = length === undefined ? heard.endsWith("0\r\n\r\n") : heard.length >= headEnd + 4 + Number(length);
    if (!whole && !/^HTTP\/1.1 204/.test(heard)) return;
    if (!/^HTTP\/1.1 2/.test(heard)) settle.reject(new Error(heard));
    else settle.resolve();
    heard = "";
  });
  socket.on("error", (error) => settle?.reject(error));
  socket.on("close", () => settle?.reject(new Error(`the server closed a connection: ${heard}`)));
  return (text) =>
    new Promise((resolve, reject) => {
      settle = { resolve, reject };
      const length = Buffer.byteLength(text);
      const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n`;
      socket.write(`${head}${headers}\r\n${text}`);
    });
}

const filling = "x".repeat(dataBytes);
function eventAt(n) {
  const marker = `n=${n};t=${process.hrtime.bigint()};`;
  return { channel: channels[n % channels.length], key, data: marker + filling.slice(marker.length) };
}

/** One connection's share: the numbers `lane`, `lane + connections`, and so on; so they are in order among themselves. */
async function publish(lane, startMs) {
  const send = connect();
  const requestsMs = [];
  let n = lane;
  while (n < count) {
    const nowMs = performance.now();
    const due = rate === 0 ? count : Math.min(count, Math.floor(((nowMs - startMs) / 1000) * rate) + 1);
    const events = [];
    for (; n < due && events.length < batch; n += connections) events.push(eventAt(n));
    if (events.length > 0) {
      await send(make(events));
      requestsMs.push(performance.now() - nowMs);
    } else await new Promise((resolve) => setTimeout(resolve, Math.max(0, startMs + (n / rate) * 1000 - nowMs)));
  }
  return requestsMs;
}

process.once("message", async () => {
  const startMs = performance.now();
  const lanes = await Promise.all(Array.from({ length: connections }, (_, lane) => publish(lane, startMs)));
  const seconds = (performance.now() - startMs) / 1000;
  const requests = lanes.flat().sort((a, b) => a - b);
  const atMs = (part) => requests[Math.floor((requests.length - 1) * part)];
  const { user, system } = process.cpuUsage();
  const cpu = (user + system) / 1e6 / seconds;
  process.send({
    seconds,
    perSecond: count / seconds,
    requests: requests.length,
    p50Ms: atMs(0.5),
    p99Ms: atMs(0.99),
    cpu,
  });
  process.disconnect();
  process.exit();
});
process.on("disconnect", () => process.exit());
process.send("ready");
