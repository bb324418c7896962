// Clients that hold streams and come back: node idlers.mjs PORT CONNECTIONS NETWORK
//
// They come from addresses of a NETWORK such as 127.0.2. A client whose stream ends waits as it was told
// by `retry`, longer after each failure, and goes on behind its last id. Says each half second how many are open, how
// many have all of the events "n=0;", "n=1;" … so far (`upTo` is told in a message), and how many were lost or came twice.
import net from "node:net";

const [port, connections, network] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
/** So many connect at a time: more would wait in the server's backlog, and try again after a second. */
const atOnce = 64;
/**
 * An address has some 28,000 ports, but Linux looks for a free one among a quarter of them first: with more taken than
 * that, each search goes through all of them, and takes a millisecond.
 */
const perAddress = 6500;
/** One place that all reads come to: a buffer for each of ten thousand would be what is measured. */
const space = Buffer.allocUnsafeSlow(64 * 1024);
const clients = [];
const waiting = [];
let [connecting, open, lost, twice, failures, upTo] = [0, 0, 0, 0, 0, 0];

function take(client, block) {
  const id = /^id: (\S+)/m.exec(block)?.[1];
  // Not a part of the text: that would keep all of it.
  if (id !== undefined && id !== client.id) client.id = Buffer.from(id).toString("latin1");
  const retry = /^retry: (\d+)/m.exec(block)?.[1];
  if (retry !== undefined) client.retryMs = Number(retry);
  const n = Number(/^data: n=(\d+);/m.exec(block)?.[1] ?? Number.NaN);
  if (Number.isNaN(n)) return;
  if (n < client.next) twice++;
  else {
    lost += n - client.next;
    client.next = n + 1;
  }
}

function hear(client, length) {
  const text = client.rest + space.latin1Slice(0, length);
  const end = text.lastIndexOf("\n\n") + 2;
  if (end < 2) {
    client.rest = text;
    return;
  }
  client.rest = end === text.length ? "" : Buffer.from(text.slice(end), "latin1").toString("latin1");
  for (const block of text.slice(0, end - 2).split("\n\n")) take(client, block);
  if (client.open) return;
  client.open = true;
  client.failures = 0;
  open++;
  connecting--;
  next();
}

function connect(client) {
  connecting++;
  const onread = { buffer: space, callback: (length) => hear(client, length) };
  const socket = net.connect({ port, host: "127.0.0.1", localAddress: client.address, onread });
  const cursor = client.id === "" ? "" : `Last-Event-ID: ${client.id}\r\n`;
  socket.write(
    `GET /events?channel=bench HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n${cursor}\r\n`,
  );
  socket.on("error", ignore);
  socket.on("close", () => ended(client));
}

function ignore() {}

function ended(client) {
  if (client.open) open--;
  else {
    connecting--;
    failures++;
    client.failures++;
  }
  client.open = false;
  client.rest = "";
  const ms = client.retryMs * 1.5 ** Math.min(client.failures, 8) * (client.failures > 0 ? 0.5 + Math.random() / 2 : 1);
  setTimeout(() => {
    waiting.push(client);
    next();
  }, ms);
  next();
}

function next() {
  while (connecting < atOnce && waiting.length > 0) connect(waiting.shift());
}

const report = () => {
  const whole = clients.reduce((sum, client) => sum + Number(client.open && client.next === upTo), 0);
  process.send({ open, whole, lost, twice, failures, upTo });
};
process.on("message", (message) => {
  if (message.upTo !== undefined) upTo = message.upTo;
  if (message !== "open") return;
  for (let at = 0; at < connections; at++) {
    const address = `${network}.${1 + Math.floor(at / perAddress)}`;
    clients.push({ address, id: "", next: 0, retryMs: 2000, rest: "", open: false, failures: 0 });
    waiting.push(clients[at]);
  }
  next();
});
setInterval(report, 500);
process.on("disconnect", () => process.exit());
