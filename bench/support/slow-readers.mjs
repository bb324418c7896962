// Streams whose clients read no more than so many bytes a second: node slow-readers.mjs PORT CLIENTS BYTES-A-SECOND PATH
//
// Says `{ open }`, and from the message "begin" to the message "end" counts bytes and events, and looks ten times a second
// how old the newest value is that a client has: `{ bytes, events, ages, last }`, of all clients together, in milliseconds;
// `last` is the last look.
import net from "node:net";

const [port, count, bytesPerSecond] = process.argv.slice(2, 5).map(Number);
const target = process.argv[5];
const data = Buffer.from("\ndata: ");
const stamp = Buffer.from(";t=");

class Client {
  bytes = 0;
  events = 0;
  newestNs = 0n;
  #allowance = 0;
  #rest = Buffer.alloc(0);
  #socket = net.connect(port, "127.0.0.1");

  open() {
    this.#socket.write(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    this.#socket.on("error", () => process.exit(1)).on("close", () => process.exit(1));
    return new Promise((resolve) => this.#socket.on("data", (chunk) => resolve(this.#take(chunk))));
  }

  /** Lets it read so many bytes more; what it has read too much counts. */
  allow(bytes) {
    this.#allowance = Math.min(this.#allowance + bytes, bytes * 2);
    if (this.#allowance > 0) this.#socket.resume();
  }

  #take(chunk) {
    this.bytes += chunk.length;
    this.#allowance -= chunk.length;
    if (this.#allowance <= 0 && bytesPerSecond !== Infinity) this.#socket.pause();
    const bytes = Buffer.concat([this.#rest, chunk]);
    let last = -1;
    for (let at = bytes.indexOf(data); at >= 0; at = bytes.indexOf(data, at + 1)) {
      const end = bytes.indexOf("\n", at + data.length);
      if (end < 0) break;
      this.events++;
      last = at;
      const from = bytes.indexOf(stamp, at) + stamp.length;
      if (from < end) this.newestNs = BigInt(bytes.toString("latin1", from, bytes.indexOf(";", from)));
    }
    // An event that has begun, or a few bytes of where one may begin, are for the next chunk.
    const lineEnd = last < 0 ? -1 : bytes.indexOf("\n", last + data.length);
    this.#rest = bytes.subarray(
      Math.max(lineEnd, bytes.lastIndexOf(data) > last ? bytes.lastIndexOf(data) : bytes.length - data.length + 1, 0),
    );
  }
}

const clients = Array.from({ length: count }, () => new Client());
await Promise.all(clients.map((client) => client.open()));
const turnsPerSecond = 20;
setInterval(() => {
  for (const client of clients) client.allow(bytesPerSecond / turnsPerSecond);
}, 1000 / turnsPerSecond);
process.send({ open: count });

const ages = [];
let looking;
process.on("message", (what) => {
  if (what === "begin") {
    for (const client of clients) client.bytes = client.events = 0;
    looking = setInterval(() => {
      const nowNs = process.hrtime.bigint();
      for (const { newestNs } of clients) if (newestNs > 0n) ages.push(Number(nowNs - newestNs) / 1e6);
    }, 100);
  } else {
    clearInterval(looking);
    const sum = (name) => clients.reduce((all, client) => all + client[name], 0);
    process.send({ bytes: sum("bytes"), events: sum("events"), ages, last: ages.slice(-count) }, () => process.exit());
  }
});
