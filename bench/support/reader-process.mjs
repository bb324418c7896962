// Opens N streams and reads them, where there is no compiler for reader.c: the same arguments, the same lines. It says the
// number of deliveries a second from which its own limit is near; see readers.mjs.
//
// Every event's data carries "n=<number>;t=<monotonic ns>;". Searching each marker would cost more than reading it: events
// of one kind are of one length, so it looks first where the next one should be, and searches when it is not there.
import fs from "node:fs";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const [port, file, count, expected, lanes, rampMs, warm] = process.argv
  .slice(2)
  .map((text) => (/^\d+$/.test(text) ? Number(text) : text));
const steps = 64; // of the histogram between a number and its double
const histogram = new Float64Array(32 * steps);
const space = Buffer.allocUnsafe(1 << 16); // one for all: a read is looked through before the next
const streams = [];
const [equals, letterN, letterT, semicolon] = Buffer.from("=nt;");
let [open, closed, deliveries, lost, twice, bytes, first, latest, slowest] = Array(9).fill(0);

/** The number that ends at the semicolon, and where that is: fields of one object, so that nothing is made per event. */
const found = { value: 0, end: 0 };

/** -1: it is something else, -2: the bytes end before it does, else 0. */
function readNumber(from, buffer, end) {
  let value = 0;
  let at = from;
  for (; at < end; at++) {
    const digit = buffer[at] - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  if (at === end) return -2;
  if (buffer[at] !== semicolon) return -1;
  found.value = value;
  found.end = at + 1;
  return 0;
}

function nextMarker(buffer, from, end, guess) {
  if (guess < end && buffer[guess] === equals && buffer[guess - 1] === letterN) return guess - 1;
  for (let at = from; ; at++) {
    at = buffer.indexOf(equals, at);
    if (at < 0 || at >= end) return -1;
    if (at > 0 && buffer[at - 1] === letterN) return at - 1;
  }
}

/** Looks through bytes; answers where a marker begins that they have cut, else -1. */
function scan(stream, buffer, end, at) {
  let from = 0;
  let guess = end;
  let last = -1;
  for (;;) {
    const mark = nextMarker(buffer, from, end, guess);
    if (mark < 0) return buffer[end - 1] === letterN ? end - 1 : -1;
    const cut = readNumber(mark + 2, buffer, end);
    from = mark + 2;
    guess = end;
    if (cut === -1) continue;
    const n = found.value;
    const t = found.end;
    if (cut === -2 || t + 2 > end) return mark;
    if (buffer[t] !== letterT || buffer[t + 1] !== equals) continue;
    const answer = readNumber(t + 2, buffer, end);
    if (answer === -2) return mark;
    if (answer === -1) continue;
    delivered(stream, n, found.value, at);
    from = found.end;
    if (last >= 0) guess = mark + 1 + (mark - last);
    last = mark;
  }
}

function delivered(stream, n, t, at) {
  const lane = n % lanes;
  const last = stream.last[lane];
  if (n <= last) {
    twice++;
    return;
  }
  if (last >= 0) lost += (n - last) / lanes - 1;
  stream.last[lane] = n;
  stream.events++;
  deliveries++;
  record(at - t);
  first ||= at;
  latest = at;
  if (deliveries !== warm) return;
  say({ warm });
  histogram.fill(0);
  first = slowest = 0;
}

const measured = () => (deliveries > warm ? deliveries - warm : deliveries);

/** In whole microseconds: clz32 is one instruction, a logarithm of nanoseconds would cost more than all the rest. */
function record(ns) {
  slowest = Math.max(slowest, ns);
  const us = Math.max(0, ns / 1000) | 0;
  const shift = us < steps ? 0 : 25 - Math.clz32(us);
  histogram[shift * steps + (us >> shift)]++;
}

function percentileMs(part) {
  let sum = 0;
  const at = histogram.findIndex((times) => {
    sum += times;
    return sum > measured() * part;
  });
  const shift = at < 2 * steps ? 0 : Math.floor(at / steps) - 1;
  return ((at - shift * steps) * 2 ** shift) / 1e3;
}

function receive(stream, length) {
  if (!stream.answered) {
    stream.answered = true;
    if (++open === count) say({ open });
  }
  bytes += length;
  const [seconds, ns] = process.hrtime();
  const at = seconds * 1e9 + ns;
  let [buffer, end] = [space, length];
  if (stream.cut !== undefined) {
    buffer = Buffer.concat([stream.cut, space.subarray(0, length)]);
    end = buffer.length;
  }
  const cut = scan(stream, buffer, end, at);
  stream.cut = cut >= 0 && end - cut <= 48 ? Buffer.from(buffer.subarray(cut, end)) : undefined;
  if (expected > 0 && deliveries >= expected) report();
}

function report() {
  const counts = streams.map((stream) => stream.events);
  const seconds = (latest - first) / 1e9;
  const times = {
    p50Ms: percentileMs(0.5),
    p99Ms: percentileMs(0.99),
    p999Ms: percentileMs(0.999),
    maxMs: slowest / 1e6,
  };
  const seen = {
    deliveries,
    measured: measured(),
    least: Math.min(...counts),
    most: Math.max(...counts),
    lost,
    twice,
    bytes,
  };
  const perSecond = seconds > 0 ? measured() / seconds : 0;
  say({ reader: "Node", connections: count, open, closed, ...seen, seconds, perSecond, ...times, done: true });
  process.exit();
}

function say(line) {
  fs.writeSync(1, `${JSON.stringify(line)}\n`);
}

/** The file holds requests, each behind its length and a line feed. */
function readRequests() {
  const all = fs.readFileSync(file);
  const requests = [];
  for (let at = 0; at < all.length; ) {
    const lineEnd = all.indexOf("\n", at);
    const length = Number(all.latin1Slice(at, lineEnd));
    requests.push(all.subarray(lineEnd + 1, lineEnd + 1 + length));
    at = lineEnd + 1 + length;
  }
  return requests;
}

const requests = readRequests();
process.stdin.on("end", report).resume();
setInterval(() => say({ deliveries, closed }), 250);
let connected = 0;
const beganMs = performance.now();
for (let i = 0; i < count; i++) {
  // At most 256 at a time: more would wait in a backlog, and try again after a second.
  while (i - connected >= 256) await sleep(2);
  const earlyMs = beganMs + (rampMs / count) * i - performance.now();
  if (earlyMs > 0) await sleep(earlyMs);
  const stream = { events: 0, last: new Float64Array(lanes).fill(-1), cut: undefined, answered: false };
  const onread = { buffer: space, callback: (length) => receive(stream, length) };
  const socket = net.connect({ port, host: "127.0.0.1", onread });
  socket.on("connect", () => connected++);
  socket.on("error", () => {});
  socket.on("close", () => {
    if (++closed === count) report();
  });
  socket.write(requests[i % requests.length]);
  streams.push(stream);
}
