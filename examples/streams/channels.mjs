// A route parameter picks the channel: news, stocks, chat, or general for everything else.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/streams/channels.mjs
//   curl -N http://127.0.0.1:60000/events/stocks
//
// To see: what belongs to the channel, at its own pace, and the end when that was all; heartbeats that page code sees.
// /events without a channel is redirected to general.
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "millrace";

const server = createServer({
  host: "0.0.0.0", // every address of this machine
  port: Number(process.env.PORT ?? 60000),
  noDelay: true,
  linger: false,
  bufferBytes: 4096,
});

async function* news(signal) {
  for (let id = 1; id <= 50; id++) {
    yield { event: "news", data: { type: "news", id, title: `News item ${id}`, timestamp: Date.now() } };
    await sleep(5000, undefined, { signal });
  }
}

async function* stocks(signal) {
  for (;;) {
    for (const symbol of ["AAPL", "GOOG", "MSFT", "AMZN", "TSLA"]) {
      yield { event: "stock", data: { symbol, price: Number((100 + Math.random() * 50).toFixed(2)) } };
    }
    await sleep(1000, undefined, { signal });
  }
}

async function* chat(signal) {
  const users = ["Ann", "Bob", "Cleo"];
  for (let n = 0; n < 5; n++) {
    yield { event: "chat", data: { user: users[n % users.length], message: `Message ${n + 1}` } };
    await sleep(3000, undefined, { signal });
  }
}

async function* general(signal) {
  for (let n = 1; n <= 20; n++) {
    yield { data: { message: `General update ${n}` } };
    await sleep(2000, undefined, { signal });
  }
}

const channels = new Map(Object.entries({ news, stocks, chat, general }));

server.stream(
  "/events/:channel",
  ({ signal }, { params }) => (channels.get(params.channel) ?? general)(signal),
  { heartbeatMs: 30_000, heartbeatForm: "event", corsOrigins: ["http://localhost:8080"] }, // whose pages may read too
);
server.redirect("/events", "/events/general");

console.log(`Channels are at ${await server.run()}/events/…: news, stocks, chat, general`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.stop());
