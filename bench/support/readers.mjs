// Opens N streams and reads them, in a process of its own: node readers.mjs PORT PATH CONNECTIONS LAST
// Events carry "n=<number>;t=<monotonic ns>;". It ends when every stream has seen the event numbered LAST, and prints
// one line of JSON. Of each chunk only the last event is looked at: reading must not be what is measured.
import net from "node:net";

const [port, path, connections, last] = [process.argv[2], process.argv[3], Number(process.argv[4]), process.argv[5]];
const latencies = [];
let open = 0;
let done = 0;
let bytes = 0;
for (let i = 0; i < connections; i++) {
  const socket = net.connect(Number(port), "127.0.0.1");
  let answered = false;
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n\r\n`);
  socket.on("data", (chunk) => {
    if (!answered) {
      answered = true;
      if (++open === connections) process.send?.("open");
    }
    bytes += chunk.length;
    const at = chunk.lastIndexOf(";t=");
    if (at < 0) return;
    const mark = chunk.latin1Slice(Math.max(0, at - 24), Math.min(chunk.length, at + 24));
    const [, n, t] = /n=(\d+);t=(\d+);/.exec(mark) ?? [];
    if (n === undefined) return;
    latencies.push(Number(process.hrtime.bigint() - BigInt(t)) / 1e6);
    if (n === last && ++done === connections) finish();
  });
}

function finish() {
  latencies.sort((a, b) => a - b);
  const at = (q) => latencies[Math.floor((latencies.length - 1) * q)];
  process.send?.({ bytes, p50Ms: at(0.5), p99Ms: at(0.99) });
  process.exit();
}
