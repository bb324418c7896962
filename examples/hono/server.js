// Streams in a Hono 4 application: as routes among its others, behind its own middleware. Here on Node; the same routes
// run where Hono does, since all that they know is Request and Response.
//
//   npm ci && npm run build                          once, in the repository
//   cd examples/hono && npm ci && npm start
//
//   curl -N -b token=ann-secret http://127.0.0.1:3000/countdown/5
//   curl -N -b token=ann-secret http://127.0.0.1:3000/feed          leave it open, and in a second terminal:
//   curl -b token=bob-secret -H "Content-Type: application/json" -d '{"title":"It rains"}' http://127.0.0.1:3000/news
//
// To see: each number comes when it is counted, though the application compresses what it answers. Without a token it
// is 401, with a wrong one 403, on streams as on all else.
import { setTimeout } from "node:timers/promises";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { compress } from "hono/compress";
import { getCookie } from "hono/cookie";
import { cors } from "hono/cors";
import { createHub, eventStream } from "millrace";

const users = new Map([
  ["ann-secret", "ann"],
  ["bob-secret", "bob"],
]);

async function authenticate(c, next) {
  const token = getCookie(c, "token");
  const user = users.get(token);
  if (!user) return c.json({ error: token ? "a wrong token" : "log in first" }, token ? 403 : 401);
  c.set("user", user);
  await next();
}

const hub = createHub();

// A stream of its own for each client: what is written here goes to the one who asked. At its end the client stays away.
const countdown = eventStream(async (stream, _request, c) => {
  const user = c.get("user");
  try {
    for (let n = Number(c.req.param("from")); n >= 0; n--) {
      await stream.send({ event: "count", data: { n, user } });
      await setTimeout(500, undefined, { signal: stream.signal });
    }
  } finally {
    console.log(`no more counting for ${user}`);
  }
});

// The hub's channel, to any number of clients. They come back to where they were.
const feed = hub.stream((_request, c) => ({ channels: "news", user: c.get("user") }));

const app = new Hono();
app.use(compress({ threshold: 0 }), cors({ origin: "https://app.example", credentials: true }));
app.get("/", (c) => c.json({ hello: "world" }));
app.get("/countdown/:from", authenticate, (c) => countdown(c.req.raw, c));
app.get("/feed", authenticate, (c) => feed(c.req.raw, c));
app.post("/news", authenticate, async (c) => {
  const data = { ...(await c.req.json()), by: c.get("user") };
  return c.json({ id: await hub.publish({ channel: "news", event: "headline", data }) }, 201);
});

const options = { fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env.PORT ?? 3000) };
const server = serve(options, ({ port }) => console.log(`News are at http://127.0.0.1:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close();
    // Without this the server would wait for its streams to end. Their clients are told to come back.
    void Promise.all([countdown.close(), hub.close()]);
  });
}
