// Replay: how fast one subscriber, and a thousand at once, catch up with a backlog, also after a restart of the hub.
//
//   npm run build && npm run bench -- replay [OPTIONS]
//
// One subscriber reads the whole backlog (rewind=all); a thousand read the last `each` of it. After a restart nothing of
// it is in memory. Events carry 85 bytes of data.
import { startHub } from "./support/hub.mjs";
import { options, wrong } from "./support/options.mjs";
import { pinning } from "./support/process.mjs";
import { startPublisher } from "./support/publisher.mjs";
import { get, startReaders } from "./support/readers.mjs";
import { middle, progress, report, rounded } from "./support/report.mjs";
import { scratch } from "./support/scratch.mjs";

const values = options({
  backlog: { default: 100_000, help: "events that one subscriber reads" },
  each: { default: 10_000, help: "events that each of many subscribers reads, of the same backlog" },
  subscribers: { default: 1000, help: "subscribers that read at once" },
  repeats: { default: 3, help: "runs of each; the median is shown" },
});
if (values.each > values.backlog) wrong("--each is larger than --backlog: give --each less, or --backlog more");

async function read(hub, connections, events, rewind) {
  const requests = get(hub.port, `/events?channel=bench&rewind=${rewind}`);
  const before = hub.cpuSeconds();
  const startMs = performance.now();
  const readers = startReaders({ port: hub.port, requests, connections, events: connections * events });
  const result = await readers.finish({ silentMs: 10_000 });
  const ms = performance.now() - startMs;
  if (result.least !== events) throw new Error(`a subscriber got ${result.least} of ${events} events`);
  return { ...result, ms, cpu: hub.cpuSeconds() - before };
}

const store = scratch();
const args = ["--store", `disk:${store}`];
const cases = {
  one: (hub) => read(hub, 1, values.backlog, "all"),
  [`${values.subscribers} at once`]: (hub) => read(hub, values.subscribers, values.each, values.each),
};
const rows = [];
let hub = await startHub({ args });
const publisher = await startPublisher({ port: hub.port, rate: 0, count: values.backlog });
progress(`publishing ${values.backlog} events`);
await publisher.run();
for (const restarted of [false, true]) {
  for (const [name, run] of Object.entries(cases)) {
    const runs = [];
    for (let at = 1; at <= values.repeats; at++) {
      progress(`${name}${restarted ? ", after a restart" : ""}, run ${at} of ${values.repeats}`);
      if (restarted) {
        await hub.stop();
        hub = await startHub({ args });
      }
      runs.push(await run(hub));
    }
    const { deliveries, bytes, cpu, ms } = middle(runs);
    rows.push({
      subscribers: name,
      backlog: deliveries / (name === "one" ? 1 : values.subscribers),
      "after a restart": restarted ? "yes" : "no",
      ms: Math.round(ms),
      "events/s": Math.round((deliveries / ms) * 1000),
      "MB/s": Math.round(bytes / ms / 1000),
      "CPU µs/event": rounded((cpu * 1e6) / deliveries, 3),
    });
  }
}
await hub.stop();
report({
  title: `Replay, medians of ${values.repeats} runs`,
  rows,
  notes: [`${pinning}; Node ${process.version}. Time is from the start of the readers' process to the last delivery.`],
  json: values.json,
});
