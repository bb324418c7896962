// Storm: 10,000 clients are dropped at once, and all come back at once for what they have missed.
//
//   npm run build && npm run bench -- storm [OPTIONS]
//
// Once only the connections are cut, once the hub is killed (kill -9) and started again on the same store. While they are
// away `missed` events are published. Meanwhile /health is asked again and again: its slowest answer is how long the hub
// kept everybody else waiting. Clients here wait for nothing; real ones spread out over the `retry` that they were told.
import { setTimeout as sleep } from "node:timers/promises";
import { startHub } from "./support/hub.mjs";
import { options } from "./support/options.mjs";
import { pinning } from "./support/process.mjs";
import { startPublisher } from "./support/publisher.mjs";
import { get, startReaders } from "./support/readers.mjs";
import { middle, progress, report, rounded } from "./support/report.mjs";
import { scratch } from "./support/scratch.mjs";

const values = options({
  clients: { default: 10_000, help: "streams that are dropped, and come back" },
  missed: { default: 100, help: "events that are published while they are away" },
  repeats: { default: 3, help: "runs of each; the median is shown" },
});

/** Asks for /health without a pause until it is stopped; `stop` resolves to the slowest answer. */
function watchHealth(url) {
  let [slowestMs, watching] = [0, true];
  const done = (async () => {
    while (watching) {
      const startMs = performance.now();
      await (await fetch(`${url}/health`)).text();
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      await sleep(5);
    }
  })();
  return {
    async stop() {
      watching = false;
      await done;
      return slowestMs;
    },
  };
}

async function publish(port, count) {
  const publisher = await startPublisher({ port, rate: 0, count, batch: 10 });
  await publisher.run();
}

async function once(kill) {
  const store = scratch();
  const args = ["--store", `disk:${store}`];
  let hub = await startHub({ args });
  try {
    const { port } = hub;
    const target = "/events?channel=bench";
    const before = startReaders({ port, requests: get(port, target), connections: values.clients });
    await before.open;
    const { ids } = await (
      await fetch(`${hub.url}/publish`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ channel: "bench", data: "the last that they hear" }),
      })
    ).json();
    await sleep(500);
    if (kill) {
      await hub.stop();
      await before.stop();
      hub = await startHub({ args: [...args, "--port", String(port)] });
    } else await before.stop();
    await publish(port, values.missed);
    const health = watchHealth(hub.url);
    await sleep(100);
    const beforeCpu = hub.cpuSeconds();
    const startMs = performance.now();
    const requests = get(port, target, `Last-Event-ID: ${ids[0]}\r\n`);
    const events = values.clients * values.missed;
    const back = startReaders({ port, requests, connections: values.clients, events });
    back.open.then(
      () => progress(`  all are answered after ${Math.round(performance.now() - startMs)} ms`),
      () => {},
    );
    const result = await back.finish({ silentMs: 10_000 });
    const ms = performance.now() - startMs;
    const cpu = hub.cpuSeconds() - beforeCpu;
    if (result.least !== values.missed) throw new Error(`a client got ${result.least} of ${values.missed} events`);
    return { ms, cpu, slowestMs: await health.stop(), twice: result.twice };
  } finally {
    await hub.stop();
  }
}

const rows = [];
for (const kill of [false, true]) {
  const runs = [];
  for (let run = 1; run <= values.repeats; run++) {
    progress(`${kill ? "hub killed" : "connections cut"}, run ${run} of ${values.repeats}`);
    runs.push(await once(kill));
  }
  const { ms, cpu, slowestMs, twice } = middle(runs);
  rows.push({
    what: kill ? "hub killed and started again" : "connections cut",
    clients: values.clients,
    "missed by each": values.missed,
    "ms until all have all": Math.round(ms),
    "clients/s": Math.round((values.clients / ms) * 1000),
    "CPU µs/client": rounded((cpu * 1e6) / values.clients, 0),
    "slowest /health, ms": rounded(slowestMs, 0),
    twice,
  });
}
report({
  title: `Reconnect storm, medians of ${values.repeats} runs`,
  rows,
  notes: [`${pinning}; Node ${process.version}. The hub has its disk store at the default durability.`],
  json: values.json,
});
