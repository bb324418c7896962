// The smallest streams: a handler sends events to one client.
//
//   npm ci && npm run build                       once, in the repository
//   node examples/streams/basic.mjs
//   curl -N http://127.0.0.1:3000/events          or open http://127.0.0.1:3000
//   curl -N http://127.0.0.1:3000/events/text     ten texts of two lines, one each second
//   curl -N http://127.0.0.1:3000/events/slow     20 events, every third of them after 2 s instead of 1 s
//
// To see: a confirmation, 100 events, one each 100 ms, a last event, and the end, after which a browser does not come
// back. Leave in the middle: the handler's loop ends with its client.
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "millrace";

const server = createServer({ port: Number(process.env.PORT ?? 3000) });

server.stream("/events", async (stream) => {
  stream.closed.then(() => console.log(`${stream.id} has left`));
  await stream.send({ event: "connected", id: "conn-1", data: { id: stream.id }, retry: 3000 });
  for (let n = 1; n <= 100; n++) {
    await stream.send({ id: `data-${n}`, data: { n, timestamp: Date.now() } });
    await sleep(100);
  }
  await stream.send({ event: "close", id: "close-1", data: "that was all" });
});

server.stream("/events/text", async (stream) => {
  await stream.comment("no page sees this");
  await stream.send("connection");
  for (let n = 1; n <= 10; n++) {
    await stream.send(`text ${n}\nits second line`);
    await sleep(1000, undefined, { signal: stream.signal }); // the signal: nobody waits for a client that has left
  }
});

server.stream("/events/slow", async function* ({ signal }) {
  yield { event: "connected", id: "conn-1", data: "a slow one" };
  for (let n = 1; n <= 20; n++) {
    await sleep(n % 3 === 0 ? 2000 : 1000, undefined, { signal });
    yield { id: `data-${n}`, data: { n } };
    if (n === 10) yield { event: "config", data: { retry: 10_000 }, retry: 10_000 }; // "you may take your time"
  }
});

server.get(
  "/",
  () => `<!doctype html>
<title>A stream</title>
<link rel="icon" href="data:,">
<p>Event <output>-</output></p>
<script>
  const output = document.querySelector("output");
  const events = new EventSource("/events");
  events.onmessage = ({ data }) => (output.textContent = JSON.parse(data).n);
  events.addEventListener("close", ({ data }) => (output.textContent = data));
</script>
`,
);

console.log(`A stream is at ${await server.run()}`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.stop());
