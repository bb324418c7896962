// An answer that is written word by word, as a language model does it: a channel that ends.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/streams/answer.mjs         then open http://127.0.0.1:3000
//   curl -X POST http://127.0.0.1:3000/answers                 says where the answer is
//   curl -X POST "http://127.0.0.1:3000/answers?fail=1"        one that breaks off
//   curl -N http://127.0.0.1:3000/answers/…
//
// To see: reload the page in the middle, or open its address in another window: the answer is whole, and goes on. At
// its end the stream ends, and nobody comes back. The work does not stop when the page is closed. When it breaks off,
// clients are told that it failed.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createHub, createMemoryLog, createServer } from "millrace";

// An answer is kept for an hour, whatever else the log keeps.
const log = createMemoryLog({ policies: [{ channels: "answers/*", retention: { ageMs: 3_600_000 } }] });
const hub = createHub({ log });
const server = createServer({ port: Number(process.env.PORT ?? 3000) });
const words = "A channel is a log and a subscriber is a cursor so whoever comes late reads from the start".split(" ");

server.post("/answers", async ({ url }) => {
  const id = randomUUID();
  await hub.run(`answers/${id}`, async (run) => {
    for (const [at, word] of words.entries()) {
      await sleep(200, undefined, { signal: run.signal });
      if (at === 5 && url.includes("fail")) throw new Error("out of words");
      await run.send({ event: "token", data: word });
    }
  });
  return { answer: `/answers/${id}` };
});

server.get(
  "/answers/:id",
  hub.stream(({ params }) => ({ channels: `answers/${params.id}`, rewind: "all" })),
);

server.get(
  "/",
  () => `<!doctype html>
<title>An answer</title>
<link rel="icon" href="data:,">
<button>Ask</button>
<p></p>
<script>
  const text = document.querySelector("p");
  let events;
  function show(answer) {
    events?.close();
    text.textContent = "";
    events = new EventSource(answer);
    events.addEventListener("token", ({ data }) => text.append(data, " "));
    events.addEventListener("millrace.end", ({ data }) => {
      text.append(JSON.parse(data).status === "done" ? "■" : "(it failed)");
    });
  }
  document.querySelector("button").onclick = async () => {
    const { answer } = await (await fetch("/answers", { method: "POST" })).json();
    location.hash = answer; // so that a reload finds it again
    show(answer);
  };
  if (location.hash) show(location.hash.slice(1));
</script>
`,
);

console.log(`Answers are at ${await server.run()}`);
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    await hub.close();
    await server.stop();
  });
}
