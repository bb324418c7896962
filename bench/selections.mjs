// Selections: 1,000 subscribers, each with 20 of 1,000 channels of its own choice, 20,000 events/s; also with every=50ms.
//
//   npm run build && npm run bench -- selections [OPTIONS]
//
// No two subscribers share a batch here: what can be shared are the bytes of each event. With `every` each of them is
// written to 20 times a second, and gets of a channel the latest event of its key; so there CPU per second is what counts.
import { startHub } from "./support/hub.mjs";
import { measure } from "./support/measure.mjs";
import { options, wrong } from "./support/options.mjs";
import { pinning } from "./support/process.mjs";
import { get } from "./support/readers.mjs";
import { middle, progress, report, rounded } from "./support/report.mjs";
import { overHttp } from "./support/systems.mjs";

const values = options({
  subscribers: { default: 1000, help: "streams" },
  channels: { default: 1000, help: "channels in all" },
  each: { default: 20, help: "channels of each stream" },
  rate: { default: 20_000, help: "events a second on all channels together" },
  seconds: { default: 5, help: "how long each run publishes, in seconds" },
  repeats: { default: 3, help: "runs of each; the median is shown" },
});
if (values.each > values.channels) wrong("--each is larger than --channels: give --each less, or --channels more");
if (values.rate * values.seconds < values.channels)
  wrong("too few events to tell: give --rate more, or --channels less");
const names = Array.from({ length: values.channels }, (_, at) => `market/${at}`);
const selections = Array.from({ length: values.subscribers }, (_, at) => choose(at));

/** Different channels for each subscriber, the same in every run. */
function choose(seed) {
  let state = seed + 1;
  const chosen = new Set();
  while (chosen.size < values.each) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    chosen.add(names[(state >>> 8) % names.length]);
  }
  return [...chosen];
}

const target = (channels, more) => `/events?${channels.map((channel) => `channel=${channel}`).join("&")}${more}`;

/** Why the hub does not take such a request; undefined when it does. */
async function refusal(hub, more) {
  const abort = new AbortController();
  const answer = await fetch(hub.url + target(selections[0], more), { signal: abort.signal });
  const why = answer.ok ? undefined : `${answer.status} ${(await answer.json()).detail}`;
  abort.abort();
  return why;
}

async function once(more) {
  const count = Math.floor((values.rate * values.seconds) / names.length) * names.length;
  const hub = await startHub();
  const refused = await refusal(hub, more);
  if (refused !== undefined) {
    await hub.stop();
    return { refused };
  }
  const plan = { port: hub.port, channels: names, key: "latest" };
  const published = await overHttp(plan, { rate: values.rate, count });
  const requests = selections.map((channels) => get(hub.port, target(channels, more)));
  const system = { ...hub, ...published, requests, stop: () => Promise.all([hub.stop(), published.stop()]) };
  const every = (count / names.length) * values.each * values.subscribers;
  const limitMs = values.seconds * 2000 + 2000;
  const events = more === "" ? every : 0;
  const result = await measure(system, { connections: values.subscribers, count, events, limitMs });
  return { ...result, delivered: (result.deliveries / every) * 100 };
}

const rows = [];
const skipped = [];
let plain;
for (const [name, more] of Object.entries({ plain: "", "every=50ms": "&every=50ms" })) {
  const runs = [];
  for (let run = 1; run <= values.repeats; run++) {
    progress(`${name}, run ${run} of ${values.repeats}`);
    const result = await once(more);
    if (result.refused === undefined) runs.push(result);
    else skipped.push(`${name}: the hub answers ${result.refused}`);
    if (result.refused !== undefined) break;
  }
  if (runs.length === 0) continue;
  const { cpu, seconds, deliveries, ...result } = middle(runs);
  plain ??= cpu / seconds;
  rows.push({
    load: `${values.subscribers} × ${values.each} of ${values.channels}, ${values.rate}/s`,
    form: name,
    "CPU % of a core": rounded((cpu / seconds) * 100, 0),
    "× plain": rounded(cpu / seconds / plain),
    "CPU µs/delivery": rounded((cpu * 1e6) / deliveries),
    "deliveries/s": Math.round(result.perSecond),
    "offered/s": Math.round(result.offered),
    "delivered %": rounded(result.delivered, 1),
    "p50 ms": rounded(result.p50Ms),
    "p99 ms": rounded(result.p99Ms),
    twice: result.twice,
  });
}
report({
  title: `Different selections, medians of ${values.repeats} runs of ${values.seconds} s`,
  rows,
  notes: [`${pinning}; Node ${process.version}. The hub has its disk store at the default durability.`],
  skipped,
  json: values.json,
});
