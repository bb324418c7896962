// Streams in a Fastify 5 application: as routes among its others, behind its own hooks and plugins.
//
//   npm ci && npm run build                          once, in the repository
//   cd examples/fastify && npm ci && npm start
//
//   curl -N -b token=ann-secret http://127.0.0.1:3000/countdown/5
//   curl -N -b token=ann-secret http://127.0.0.1:3000/feed          leave it open, and in a second terminal:
//   curl -b token=bob-secret -H "Content-Type: application/json" -d '{"title":"It rains"}' http://127.0.0.1:3000/news
//
// To see: each number comes when it is counted, though the application compresses what it answers. Without a token it
// is 401, with a wrong one 403, on streams as on all else.
import { setTimeout } from "node:timers/promises";
import compress from "@fastify/compress";
import cookie from "@fastify/cookie";
import cors from "@fastify/cors";
import Fastify from "fastify";
import { createHub, eventStream } from "millrace";

const users = new Map([
  ["ann-secret", "ann"],
  ["bob-secret", "bob"],
]);

async function authenticate(request, reply) {
  const { token } = request.cookies;
  request.user = users.get(token);
  if (!request.user) return reply.code(token ? 403 : 401).send({ error: token ? "a wrong token" : "log in first" });
}

const hub = createHub();

// A stream of its own for each client: what is written here goes to the one who asked. At its end the client stays away.
const countdown = eventStream(async (stream, _request, _response, { params, user }) => {
  try {
    for (let n = Number(params.from); n >= 0; n--) {
      await stream.send({ event: "count", data: { n, user } });
      await setTimeout(500, undefined, { signal: stream.signal });
    }
  } finally {
    console.log(`no more counting for ${user}`);
  }
});

// The hub's channel, to any number of clients. They come back to where they were.
const feed = hub.stream((_request, _response, { user }) => ({ channels: "news", user }));

/** Hands a request over to a route of Millrace, with the headers that plugins have set. */
const streaming = (route) => (request, reply) => {
  reply.hijack();
  reply.raw.setHeaders(new Map(Object.entries(reply.getHeaders())));
  return route(request.raw, reply.raw, request);
};

const app = Fastify();
app.decorateRequest("user", undefined);
await app.register(compress, { threshold: 0 });
await app.register(cors, { origin: "https://app.example", credentials: true });
await app.register(cookie);

app.get("/", () => ({ hello: "world" }));
app.get("/countdown/:from", { onRequest: authenticate }, streaming(countdown));
app.get("/feed", { onRequest: authenticate }, streaming(feed));
app.post("/news", { onRequest: authenticate }, async (request, reply) => {
  const data = { ...request.body, by: request.user };
  reply.code(201).send({ id: await hub.publish({ channel: "news", event: "headline", data }) });
});

// Without this the server would wait for its streams to end. Their clients are told to come back.
app.addHook("preClose", async () => {
  await Promise.all([countdown.close(), hub.close()]);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => app.close());

console.log(`News are at ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}`);
