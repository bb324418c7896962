// Streams in a Koa 3 application: as routes among its others, behind its own middleware.
//
//   npm ci && npm run build                          once, in the repository
//   cd examples/koa && npm ci && npm start
//
//   curl -N -b token=ann-secret http://127.0.0.1:3000/countdown/5
//   curl -N -b token=ann-secret http://127.0.0.1:3000/feed          leave it open, and in a second terminal:
//   curl -b token=bob-secret -H "Content-Type: application/json" -d '{"title":"It rains"}' http://127.0.0.1:3000/news
//
// To see: each number comes when it is counted, though the application compresses what it answers. Without a token it
// is 401, with a wrong one 403, on streams as on all else.
import { setTimeout } from "node:timers/promises";
import { bodyParser } from "@koa/bodyparser";
import Router from "@koa/router";
import Koa from "koa";
import compress from "koa-compress";
import { createHub, eventStream } from "millrace";

const users = new Map([
  ["ann-secret", "ann"],
  ["bob-secret", "bob"],
]);

async function authenticate(ctx, next) {
  const token = ctx.cookies.get("token");
  ctx.state.user = users.get(token);
  if (!ctx.state.user) ctx.throw(token ? 403 : 401, token ? "a wrong token" : "log in first");
  await next();
}

const hub = createHub();

// A stream of its own for each client: what is written here goes to the one who asked. At its end the client stays away.
const countdown = eventStream(async (stream, _request, _response, { params, state }) => {
  try {
    for (let n = Number(params.from); n >= 0; n--) {
      await stream.send({ event: "count", data: { n, user: state.user } });
      await setTimeout(500, undefined, { signal: stream.signal });
    }
  } finally {
    console.log(`no more counting for ${state.user}`);
  }
});

// The hub's channel, to any number of clients. They come back to where they were.
const feed = hub.stream((_request, _response, { state }) => ({ channels: "news", user: state.user }));

/** Hands a request over to a route of Millrace: what is Koa's to answer ends here. */
const streaming = (route) => (ctx) => {
  ctx.respond = false;
  return route(ctx.req, ctx.res, ctx);
};

const router = new Router();
router.get("/", (ctx) => {
  ctx.body = { hello: "world" };
});
router.get("/countdown/:from", authenticate, streaming(countdown));
router.get("/feed", authenticate, streaming(feed));
router.post("/news", authenticate, bodyParser(), async (ctx) => {
  const data = { ...ctx.request.body, by: ctx.state.user };
  ctx.body = { id: await hub.publish({ channel: "news", event: "headline", data }) };
  ctx.status = 201;
});

const app = new Koa();
app.use(compress({ threshold: 0 })).use(router.routes());
// Koa reports connections that break: of streams, that is how clients leave.
app.on("error", (error, { respond }) => {
  if (respond !== false) app.onerror(error);
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`News are at http://127.0.0.1:${server.address().port}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close();
    // Without this the server would wait for its streams to end. Their clients are told to come back.
    void Promise.all([countdown.close(), hub.close()]);
  });
}
