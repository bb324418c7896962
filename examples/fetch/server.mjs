// A hub inside an application that speaks the Fetch API: a function from Request to Response, as Hono, Next.js, Bun and
// Deno know it.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/fetch/server.mjs           (or: bun run …, deno serve …)
//   curl -N "http://127.0.0.1:3000/events?channel=visits"      in a second terminal, and leave it open
//   curl http://127.0.0.1:3000/                                in a third one, as often as you like
//
// To see: each visit is told to all who listen, and numbered.
import http from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createHub } from "millrace";

const hub = createHub();
let visits = 0;

async function fetch(request) {
  // The hub answers its own routes (/events, /health, …); everything else is the application's.
  const answer = await hub.fetch(request);
  if (answer) return answer;
  if (new URL(request.url).pathname !== "/") return new Response("not found\n", { status: 404 });
  visits += 1;
  await hub.publish({ channel: "visits", event: "visit", data: { number: visits } });
  return new Response(`Hello, visitor ${visits}.\n`);
}

export default { fetch };

// Node's own server does not speak Fetch; a framework brings this part with it.
if (!("Bun" in globalThis || "Deno" in globalThis)) {
  const server = http.createServer(async (incoming, outgoing) => {
    const { method, headers } = incoming;
    const left = new AbortController();
    outgoing.once("close", () => left.abort());
    const body = method === "GET" || method === "HEAD" ? undefined : Readable.toWeb(incoming);
    const url = new URL(incoming.url, `http://${headers.host}`);
    const answer = await fetch(new Request(url, { method, headers, body, duplex: "half", signal: left.signal }));
    outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
    outgoing.flushHeaders();
    // A client that leaves in the middle of a stream is nothing to complain about.
    await pipeline(answer.body ?? Readable.from([]), outgoing).catch(() => {});
  });
  server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
    console.log(`Visits are counted at http://127.0.0.1:${server.address().port}`);
  });
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, async () => {
      server.close();
      await hub.close();
      server.closeAllConnections();
    });
  }
}
