// Conflation: 1,000 symbols that change 20,000 times a second, for clients that read fast and slowly.
//
//   npm run build && npm run bench -- conflation [OPTIONS]
//
// The same feed as it is, with conflate=1, and with every=250ms. `--kilobytes`: what a client reads a second; 0: all it can.
// `age` is how old the newest value is that a client has, looked at ten times a second. What lies in the kernel's buffers
// is sent whatever the hub does: on one machine some megabytes for each client, so that with conflate=1 a slow one is some
// seconds behind and no more, and without it ever further. Linux only: processor time is read from /proc.
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startHub } from "./support/hub.mjs";
import { numbers, options } from "./support/options.mjs";
import { message, pinning, start, stop } from "./support/process.mjs";
import { median, progress, report, rounded } from "./support/report.mjs";

const values = options({
  symbols: { default: 1000, help: "keys of the channel" },
  rate: { default: 20_000, help: "updates a second of all symbols" },
  clients: { default: 20, help: "streams of the channel" },
  seconds: { default: 15, help: "how long each is measured, in seconds" },
  kilobytes: {
    default: "0,1000",
    parse: numbers({ zero: true }),
    help: "KB that a client reads a second; 0: all it can",
  },
});
const { symbols, rate, clients, seconds } = values;
const script = (name) => path.join(import.meta.dirname, "support", name);
const warmSeconds = 3;

async function measure(query, kilobytes) {
  const hub = await startHub();
  const children = [];
  const child = (name, args) => {
    children.push(start(script(name), args, { cpu: 1 }));
    return children.at(-1);
  };
  try {
    const bytesPerSecond = kilobytes === 0 ? Infinity : kilobytes * 1000;
    const target = `/events?channel=prices${query}`;
    const readers = child("slow-readers.mjs", [hub.port, clients, bytesPerSecond, target]);
    await message(readers, ({ open }) => open === clients);
    const publisher = child("symbols.mjs", [hub.port, symbols, rate]);
    await sleep(warmSeconds * 1000);
    const cpuBefore = hub.cpuSeconds();
    readers.send("begin");
    await sleep(seconds * 1000);
    const cpu = hub.cpuSeconds() - cpuBefore;
    const read = message(readers, ({ ages }) => ages !== undefined);
    readers.send("end");
    const { bytes, events, ages, last } = await read;
    const done = message(publisher, ({ published }) => published !== undefined);
    publisher.send("stop");
    const feed = await done;
    ages.sort((a, b) => a - b);
    const age = (part) => rounded(ages[Math.floor((ages.length - 1) * part)] ?? Number.NaN, 0);
    return {
      "published/s": Math.round(feed.published / feed.seconds),
      "events/s a client": Math.round(events / clients / seconds),
      "KB/s a client": Math.round(bytes / 1000 / clients / seconds),
      "hub % of a core": Math.round((cpu / seconds) * 100),
      "age p50 ms": age(0.5),
      "age p99 ms": age(0.99),
      "at the end ms": rounded(median(last), 0),
    };
  } finally {
    await Promise.all([...children.map(stop), hub.stop()]);
  }
}

const rows = [];
for (const kilobytes of values.kilobytes) {
  for (const [name, query] of [
    ["all", ""],
    ["conflate=1", "&conflate=1"],
    ["every=250ms", "&every=250ms"],
  ]) {
    const reads = kilobytes === 0 ? "all it can" : `${kilobytes} KB/s`;
    progress(`clients that read ${reads}: ${name}`);
    rows.push({ "a client reads": reads, stream: name, ...(await measure(query, kilobytes)) });
  }
}
report({
  title: `${symbols} symbols, ${rate} updates a second, ${clients} clients, ${seconds} s each`,
  rows,
  notes: [`${pinning}; Node ${process.version}. The hub has its disk store at the default durability.`],
  json: values.json,
});
