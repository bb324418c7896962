// Parser: the event-stream parser in ten shapes of streams, beside the npm package eventsource-parser on the same bytes.
//
//   npm run build && npm run bench -- parser [OPTIONS]
//
// `node bench/peers/install.mjs npm` installs eventsource-parser. It takes strings, so its time includes the streaming
// TextDecoder that its users need in front of it.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { options, wrong } from "./support/options.mjs";
import { median, progress, report, rounded } from "./support/report.mjs";

const values = options({
  runs: { default: 9, help: "runs of each shape; the median is shown" },
  shape: { help: "one shape, by its whole name" },
});
const { createParser } = await import("millrace/protocol"); // not at the top: it may not be built
const theirs = await loadEventsourceParser();

const tick = (i, name) =>
  `id: 3f9a1c-${100000 + i}\nevent: price\ndata: {"symbol":"${name}","price":${(100 + (i % 97) / 10).toFixed(2)},"volume":${i * 7},"time":1700000000${i % 1000}}\n\n`;
const repeat = (count, make) => Array.from({ length: count }, (_, i) => make(i)).join("");

const shapes = {
  "small events, 64 KiB chunks": () =>
    cut(
      repeat(20_000, (i) => tick(i, "ACME")),
      65_536,
    ),
  "small events, CRLF": () => cut(repeat(20_000, (i) => tick(i, "ACME")).replaceAll("\n", "\r\n"), 65_536),
  "small events, not ASCII": () =>
    cut(
      repeat(20_000, (i) => tick(i, "Zürich 株価")),
      65_536,
    ),
  "one event a chunk": () => Array.from({ length: 20_000 }, (_, i) => new TextEncoder().encode(tick(i, "ACME"))),
  "large data, 1 MiB an event, 64 KiB chunks": () =>
    cut(
      repeat(8, () => `data: ${"x".repeat(1 << 20)}\n\n`),
      65_536,
    ),
  "large data, not ASCII": () =>
    cut(
      repeat(12, () => `data: ${"Привет, мир! ".repeat(50_000)}\n\n`),
      65_536,
    ),
  "tiny chunks, small events by 7 bytes": () =>
    cut(
      repeat(4_000, (i) => tick(i, "ACME")),
      7,
    ),
  "tiny chunks, small events by 1 byte": () =>
    cut(
      repeat(1_000, (i) => tick(i, "ACME")),
      1,
    ),
  "tiny chunks, a 1 MiB line by 16 bytes": () => cut(`data: ${"x".repeat(1 << 20)}\n\n`, 16),
  "many lines, 10,000 of data an event": () =>
    cut(
      repeat(10, () => `${repeat(10_000, (i) => `data: line ${i} of the text\n`)}\n`),
      65_536,
    ),
};

if (values.shape === undefined) {
  const rows = [];
  // A process each: what the compiler has learnt from one shape must not colour the next.
  for (const shape of Object.keys(shapes)) {
    progress(shape);
    const args = [fileURLToPath(import.meta.url), "--runs", String(values.runs), "--shape", shape, "--json"];
    const child = spawnSync(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    if (child.status !== 0) process.exit(1);
    rows.push(...JSON.parse(child.stdout).rows);
  }
  print(rows);
} else {
  const makeChunks = shapes[values.shape];
  if (!makeChunks) wrong(`--shape: there is no "${values.shape}"; there are ${Object.keys(shapes).join(" | ")}`);
  print([measure(values.shape, makeChunks())]);
}

function print(rows) {
  const skipped = theirs ? [] : ["eventsource-parser: not installed: node bench/peers/install.mjs npm"];
  const title = `Parser, medians of ${values.runs} runs, Node ${process.version}`;
  report({ title, rows, skipped, json: values.json });
}

function measure(name, chunks) {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const ours = [];
  const others = [];
  for (let run = -3; run < values.runs; run++) {
    const mine = time(() => parseOurs(chunks));
    const other = theirs && time(() => parseTheirs(chunks));
    if (other && other.checksum !== mine.checksum) throw new Error(`${name}: the parsers disagree`);
    if (run < 0) continue; // warming up
    ours.push(mine.ms);
    if (other) others.push(other.ms);
  }
  const rate = (ms) => Math.round(bytes / 1e3 / ms);
  const row = { shape: name, "MB/s": rate(median(ours)) };
  if (!theirs) return row;
  return { ...row, "eventsource-parser MB/s": rate(median(others)), ratio: rounded(median(others) / median(ours)) };
}

function parseOurs(chunks) {
  const sum = checksum();
  const parser = createParser({ onEvent: (event) => sum.add(event.data, event.lastEventId) });
  for (const chunk of chunks) parser.feed(chunk);
  return sum.total();
}

function parseTheirs(chunks) {
  const sum = checksum();
  const decoder = new TextDecoder();
  const parser = theirs.createParser({ onEvent: (event) => sum.add(event.data, event.id ?? "") });
  for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }));
  return sum.total();
}

/** Reads a character of each string: a string that is only joined lazily has not been paid for. */
function checksum() {
  let total = 0;
  return {
    add(data, id) {
      total = (total + data.length + data.charCodeAt(data.length >> 1) + id.length) | 0;
    },
    total: () => total,
  };
}

function time(work) {
  const start = performance.now();
  const checksum = work();
  return { ms: performance.now() - start, checksum };
}

function cut(text, size) {
  const bytes = new TextEncoder().encode(text);
  const chunks = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
  return chunks;
}

async function loadEventsourceParser() {
  try {
    const from = createRequire(path.join(import.meta.dirname, "peers/package.json"));
    return await import(pathToFileURL(from.resolve("eventsource-parser")).href);
  } catch {
    return undefined;
  }
}
