// Fan-out: all subscribers on one channel, from 50 to 20,000 events/s, beside bare sockets and a C loop.
//
//   npm run build && npm run bench -- fanout [OPTIONS]
//
// A load is SUBSCRIBERSxEVENTS-A-SECOND. The systems take turns, so that whatever else the machine does meets all of them.
// `bare Node sockets` writes one shared Buffer to each socket: a ratio of 1 to it means that log, cursors, channels and
// publishing cost nothing. The C loop is what one system call a delivery costs on this machine. --peers adds what
// `node bench/peers/install.mjs` has installed. Linux only: processor time is read from /proc.
import { measure } from "./support/measure.mjs";
import { only, options } from "./support/options.mjs";
import { pinning } from "./support/process.mjs";
import { middle, progress, report, rounded } from "./support/report.mjs";
import { bareSockets, hub, sendLoop } from "./support/systems.mjs";

const usual = "1000x50,1000x400,1000x5000,1000x10000,1000x20000,10000x5,10000x40";
const values = options({
  loads: { default: usual, parse: parseLoads, help: "SUBSCRIBERSxEVENTS-A-SECOND, commas between" },
  repeats: { default: 3, help: "runs of each; the median is shown" },
  seconds: { default: 4, fraction: true, help: "how long each run is measured, in seconds" },
  only: { help: "systems, by parts of their names; commas between" },
  peers: { default: false, help: "also what bench/peers/install.mjs has installed" },
  nodeReader: { default: false, help: "read with Node also where there is a gcc" },
});

function parseLoads(texts) {
  return texts.split(",").map((text) => {
    const [, subscribers, rate] = /^([1-9]\d{0,6})x([1-9]\d{0,6})$/.exec(text) ?? [];
    if (rate === undefined) throw new Error("loads such as 1000x50,1000x5000");
    return { subscribers: Number(subscribers), rate: Number(rate) };
  });
}

const peers = values.peers ? (await import("./peers/index.mjs")).peers : [];
const all = [hub(), bareSockets, sendLoop, ...peers];
const names = all.map(({ name }) => name);
const chosen = only(values.only, names, values.peers ? "" : ", and others with --peers");
const skipped = [];
const systems = all.filter((system) => {
  if (!chosen.includes(system.name)) return false;
  const missing = system.missing?.();
  if (missing !== undefined) skipped.push(`${system.name}: ${missing}`);
  return missing === undefined;
});

/** A just-in-time compiler has its second, and every other system too, before anything is measured. */
const warmSeconds = 1;

/** A system that is behind has half as long again to deliver the rest; what has not come by then is not delivered. */
async function once(system, { subscribers, rate }) {
  const { seconds } = values;
  const count = Math.round(rate * (seconds + warmSeconds));
  const warm = subscribers * rate * warmSeconds;
  const server = await system.start({ subscribers, rate, count });
  const events = subscribers * count;
  const limitMs = (seconds + warmSeconds) * 1500;
  const native = !values.nodeReader;
  const { deliveries, measured, cpu, lost, twice, ...result } = await measure(server, {
    ...{ connections: subscribers, count, events, warm, limitMs, native },
  });
  if (deliveries === 0) throw new Error("nothing was delivered");
  return {
    ...result,
    microseconds: (cpu * 1e6) / measured,
    delivered: (deliveries / events) * 100,
    wrong: lost + twice,
  };
}

const rows = [];
for (const load of values.loads) {
  const name = `${load.subscribers} × ${load.rate}/s`;
  const measured = new Map(systems.map((system) => [system, []]));
  for (let run = 1; run <= values.repeats; run++) {
    for (const system of systems) {
      progress(`${name}, run ${run} of ${values.repeats}: ${system.name}`);
      try {
        measured.get(system).push(await once(system, load));
      } catch (error) {
        skipped.push(`${system.name} at ${name}, run ${run}: ${error.message.split("\n")[0]}`);
      }
    }
  }
  const medians = new Map(
    [...measured].filter(([, runs]) => runs.length > 0).map(([key, runs]) => [key, middle(runs)]),
  );
  const cost = (system) => medians.get(system)?.microseconds;
  const times = (own, other) => (other === undefined ? undefined : rounded(own / other));
  for (const [system, result] of medians) {
    rows.push({
      load: name,
      system: system.name,
      published: system.how,
      "CPU µs/delivery": rounded(result.microseconds, result.microseconds < 1 ? 3 : 2),
      "% of a core": Math.round(result.busy * 100),
      "× sockets": times(result.microseconds, cost(bareSockets)),
      "× C": times(result.microseconds, cost(sendLoop)),
      "deliveries/s": Math.round(result.perSecond),
      "offered/s": Math.round(result.offered),
      "delivered %": rounded(result.delivered, 1),
      "p50 ms": rounded(result.p50Ms),
      "p99 ms": rounded(result.p99Ms),
      "lost or twice": result.wrong,
    });
  }
}
report({
  title: `Fan-out, medians of ${values.repeats} runs of ${values.seconds} s`,
  rows,
  notes: [
    `${pinning}; Node ${process.version}. The hub has its disk store at the default durability.`,
    "At 100 % of a core the CPU of a delivery is one second divided by the deliveries: there, compare p50 and p99.",
  ],
  skipped,
  json: values.json,
});
