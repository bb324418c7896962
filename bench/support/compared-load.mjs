// The clients of comparison.mjs, in a process of their own: node compared-load.mjs PLAN
//
// PLAN is JSON: { port, connections, request, kind, everyMs }. Kind `stream`: asks once and hears what comes, of an event
// stream or a WebSocket. `poll`: asks every `everyMs`. `long`: asks again as soon as it is answered. In a request of the last two
// CURSOR stands for what the answer before said. Says "open" when each has been answered; counts from "begin" to "end".
import net from "node:net";

const { port, connections, request, kind, everyMs } = JSON.parse(process.argv[2]);
let open = 0;
let counting = false;
let requests = 0;
let empty = 0;
const delays = [];
const clients = [];
/** What one client sends and hears until it may hear events. */
const opening = { sent: 0, heard: 0 };

/** Counts the marks "n=…;t=…;" in a text, and answers how many there were. */
function take(text) {
  const marks = [...text.matchAll(/n=\d+;t=(\d+);/g)];
  if (!counting) return marks.length;
  const now = process.hrtime.bigint();
  for (const [, at] of marks) delays.push(Number(now - BigInt(at)) / 1e6);
  return marks.length;
}

function stream(socket) {
  let rest = "";
  let answered = false;
  socket.write(request);
  socket.on("data", (bytes) => {
    if (!answered) {
      answered = true;
      Object.assign(opening, { sent: Buffer.byteLength(request), heard: bytes.length });
      opened();
    }
    const text = rest + bytes.latin1Slice();
    take(text);
    rest = /n=[^x]{0,45}$/.exec(text.slice(-48))?.[0] ?? ""; // a mark that a read has cut
    if (/;t=\d+;/.test(rest)) rest = "";
  });
}

/** Where the next one begins, by the answer before: an event stream's last id, or the number of the last event. */
const cursorIn = (body) => [...body.matchAll(/^id: (\S+)$/gm)].at(-1)?.[1] ?? /"last":(-?\d+)/.exec(body)?.[1];

function poll(socket, at) {
  let heard = "";
  let cursor = "";
  let answered = false;
  const startMs = performance.now() + (at / connections) * (everyMs ?? 0);
  let turn = 0;
  const ask = () => {
    if (counting) requests++;
    socket.write(request.replace("CURSOR", cursor));
  };
  const askLater = () => {
    if (kind === "long") ask();
    else setTimeout(ask, startMs + turn++ * everyMs - performance.now());
  };
  socket.on("data", (bytes) => {
    heard += bytes.latin1Slice();
    const bodyAt = heard.indexOf("\r\n\r\n") + 4;
    const length = Number(/^content-length: *(\d+)/im.exec(heard)?.[1]);
    if (bodyAt < 4 || heard.length < bodyAt + length) return;
    const body = heard.slice(bodyAt);
    heard = "";
    const events = take(body);
    if (counting && events === 0) empty++;
    cursor = cursorIn(body) ?? cursor;
    if (!answered) {
      answered = true;
      opened();
    }
    askLater();
  });
  ask();
}

function opened() {
  if (++open === connections) process.send("open");
  else next();
}

/** One begins when one is answered, 64 at first: none waits in a backlog. */
function next() {
  const at = clients.length;
  if (at === connections) return;
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  clients.push(socket);
  socket.on("error", fail).on("close", () => fail(new Error("the server closed a connection")));
  if (kind === "stream") stream(socket);
  else poll(socket, at);
}

function fail(error) {
  throw error;
}

const bytes = () => clients.reduce((sum, { bytesRead, bytesWritten }) => sum + bytesRead + bytesWritten, 0);

for (let at = 0; at < Math.min(64, connections); at++) next();
let before = { bytes: 0, atMs: 0 };
process.on("message", (message) => {
  counting = message === "begin";
  if (counting) {
    before = { bytes: bytes(), atMs: performance.now() };
    process.send("begun");
    return;
  }
  delays.sort((a, b) => a - b);
  const at = (part) => delays[Math.floor((delays.length - 1) * part)] ?? 0;
  const seconds = (performance.now() - before.atMs) / 1000;
  process.send({
    seconds,
    deliveries: delays.length,
    meanMs: delays.reduce((sum, ms) => sum + ms, 0) / (delays.length || 1),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    bytesPerSecond: (bytes() - before.bytes) / seconds,
    requestsPerSecond: requests / seconds,
    wasted: requests === 0 ? 0 : empty / requests,
    opening,
  });
});
process.on("disconnect", () => process.exit());
