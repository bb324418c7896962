// This machine's figures, live: as a route, as a stream for monitoring, and as a page.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/streams/metrics.mjs        then open http://127.0.0.1:3000
//   curl -N http://127.0.0.1:3000/monitoring         100 events, one each 500 ms
//   curl -N http://127.0.0.1:3000/figures/5000       one each 5 s: any of 500, 1000, 2000 and 5000
//   curl -N http://127.0.0.1:3000/sensor             asked each 100 ms, and mostly it has nothing to say
//
// To see: real CPU, memory, network, load and event-loop delay; and of the hub, which serves the page, its connections,
// requests, errors and response times.
import { createHub, createServer } from "millrace";
import { every, requestMeter, systemFigures } from "millrace/sources";

const meter = requestMeter();
const hub = createHub({ onAnswer: meter.observe });
const server = createServer({ port: Number(process.env.PORT ?? 3000) });
const figures = (everyMs, signal) => systemFigures({ everyMs, signal, hub, http: meter });
const rates = new Set(["500", "1000", "2000", "5000"]);

server.stream("/figures/:ms", async function* ({ signal }, { params }) {
  const everyMs = rates.has(params.ms) ? Number(params.ms) : 1000;
  for await (const data of figures(everyMs, signal)) yield { event: "figures", data };
});

server.stream("/monitoring", async function* ({ signal }) {
  let left = 100;
  for await (const data of figures(500, signal)) {
    yield { event: "monitoring", data };
    if (--left === 0) return;
  }
});

// Three times in ten there is something new; undefined writes nothing.
server.stream("/sensor", ({ signal }) =>
  every(100, () => (Math.random() < 0.3 ? { data: { celsius: 20 + Math.random() } } : undefined), { signal }),
);

// Read once for all who look at the page, and only while somebody does.
hub.whileWatched("figures", async ({ channel, signal }) => {
  for await (const data of figures(1000, signal)) await hub.publish({ channel, event: "figures", data });
});

server.get(
  "/",
  () => `<!doctype html>
<title>Figures</title>
<link rel="icon" href="data:,">
<h1>This machine</h1>
<pre>…</pre>
<script>
  new EventSource("/events?channel=figures&rewind=1").addEventListener("figures", ({ data }) => {
    document.querySelector("pre").textContent = JSON.stringify(JSON.parse(data), null, 2);
  });
</script>
`,
);
server.use(hub);

console.log(`Figures are at ${await server.run()}`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.stop());
