// Compressed streams beside plain ones: bytes, and processor time a delivery, of one hub and all its readers.
//
//   npm run build && npm run bench -- compression [OPTIONS]
//
// Events are ticks of a market of about 115 bytes each, whose price, size and time change. Both kinds take turns. Linux
// only: processor time is read from /proc; zlib's threads are in it.
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startHub } from "./support/hub.mjs";
import { only, options } from "./support/options.mjs";
import { message, pinning, start, stop } from "./support/process.mjs";
import { middle, progress, report, rounded } from "./support/report.mjs";

const values = options({
  subscribers: { default: 1000, help: "streams of one channel" },
  seconds: { default: 8, help: "how long each run publishes, in seconds" },
  repeats: { default: 3, help: "runs of each; the median is shown" },
  only: { help: "loads, by a part of their names; commas between" },
});

/** `batch`: events in each of twenty requests a second. `newcomers`: streams a second that come and go. */
const all = [
  { name: "20/s, one at a time", batch: 1, newcomers: 0 },
  { name: "20/s, and someone comes every second", batch: 1, newcomers: 1 },
  { name: "200/s, in batches of 10", batch: 10, newcomers: 0 },
];
const chosen = only(
  values.only,
  all.map(({ name }) => name),
);
const loads = all.filter(({ name }) => chosen.includes(name));

const symbols = ["AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "META", "GOOG", "ORCL"];
const prices = new Map();

function tick(n) {
  const symbol = symbols[Math.floor(Math.random() * symbols.length)];
  const price = Math.max(1, (prices.get(symbol) ?? 100 + Math.random() * 400) + Math.random() - 0.5);
  prices.set(symbol, price);
  const data = { symbol, price: rounded(price), size: Math.ceil(Math.random() * 900), at: Date.now(), n };
  return JSON.stringify({ channel: "prices", event: "tick", data });
}

/** So many requests, of `batch` events each. Answers how many events there were. */
async function publish(url, requests, batch) {
  const headers = { "content-type": "application/x-ndjson" };
  const startMs = performance.now();
  for (let request = 0; request < requests; request++) {
    await sleep(Math.max(0, startMs + request * 50 - performance.now()));
    const events = Array.from({ length: batch }, (_, at) => tick(request * batch + at));
    const answer = await fetch(`${url}/publish`, { method: "POST", headers, body: events.join("\n") });
    if (!answer.ok) throw new Error(await answer.text());
    await answer.arrayBuffer();
  }
  return requests * batch;
}

async function once(coding, { batch, newcomers }) {
  const hub = await startHub({ args: ["--store", "memory", "--compression"] });
  const script = path.join(import.meta.dirname, "support/coded-readers.mjs");
  const args = [hub.port, "/events?channel=prices", values.subscribers, coding, newcomers];
  const readers = start(script, args, { cpu: 1 });
  await message(readers, (value) => value === "open");
  await publish(hub.url, 40, batch); // code gets warm, and the first events of a stream are not like the others
  await sleep(300);
  readers.send({ count: true });
  const before = hub.cpuSeconds();
  const result = message(readers, (value) => value.bytes !== undefined);
  const count = await publish(hub.url, values.seconds * 20, batch);
  readers.send({ last: `"n":${count - 1}}\n\n` });
  const { bytes, events } = await result;
  const cpu = hub.cpuSeconds() - before;
  await hub.stop();
  await stop(readers);
  if (events !== count) throw new Error(`${events} events were read, of ${count}`);
  const deliveries = count * values.subscribers;
  return { bytes: bytes / deliveries, microseconds: (cpu * 1e6) / deliveries };
}

const rows = [];
for (const load of loads) {
  const runs = { plain: [], gzip: [] };
  for (let run = 0; run < values.repeats; run++) {
    for (const coding of run % 2 === 0 ? ["plain", "gzip"] : ["gzip", "plain"]) {
      progress(`${load.name}, run ${run + 1} of ${values.repeats}: ${coding}`);
      runs[coding].push(await once(coding, load));
    }
  }
  const [plain, gzip] = [middle(runs.plain), middle(runs.gzip)];
  rows.push({
    load: load.name,
    "bytes, plain": rounded(plain.bytes, 0),
    "bytes, gzip": rounded(gzip.bytes, 0),
    "bytes %": rounded((gzip.bytes / plain.bytes) * 100, 1),
    "CPU µs, plain": rounded(plain.microseconds),
    "CPU µs, gzip": rounded(gzip.microseconds),
    "CPU ratio": rounded(gzip.microseconds / plain.microseconds),
  });
}
report({
  title: `Compression: ${values.subscribers} subscribers of one channel, a delivery each, medians of ${values.repeats} runs of ${values.seconds} s`,
  rows,
  notes: [`${pinning}; Node ${process.version}. The hub keeps events in memory.`],
  json: values.json,
});
