// Streams in an Express 5 application: as routes among its others, behind its own middleware.
//
//   npm ci && npm run build                          once, in the repository
//   cd examples/express && npm ci && npm start       then open http://127.0.0.1:3000, or:
//
//   curl -N -b token=ann-secret http://127.0.0.1:3000/countdown/5
//   curl -N -b token=ann-secret http://127.0.0.1:3000/feed          leave it open, and in a second terminal:
//   curl -b token=bob-secret -H "Content-Type: application/json" -d '{"title":"It rains"}' http://127.0.0.1:3000/news
//
// To see: each number comes when it is counted, though the application compresses what it answers. Without a token it
// is 401, with a wrong one 403, on streams as on all else.
import { setTimeout } from "node:timers/promises";
import compression from "compression";
import cookieParser from "cookie-parser";
import express from "express";
import { createHub, eventStream } from "millrace";

const users = new Map([
  ["ann-secret", "ann"],
  ["bob-secret", "bob"],
]);

function authenticate(request, response, next) {
  const { token } = request.cookies;
  request.user = users.get(token);
  if (request.user) next();
  else response.status(token ? 403 : 401).json({ error: token ? "a wrong token" : "log in first" });
}

const hub = createHub();

// A stream of its own for each client: what is written here goes to the one who asked. At its end the client stays away.
const countdown = eventStream(async (stream, request) => {
  try {
    for (let n = Number(request.params.from); n >= 0; n--) {
      await stream.send({ event: "count", data: { n, user: request.user } });
      await setTimeout(500, undefined, { signal: stream.signal });
    }
  } finally {
    console.log(`no more counting for ${request.user}`);
  }
});

// The hub's channel, to any number of clients. They come back to where they were.
const feed = hub.stream((request) => ({ channels: "news", user: request.user }));

const app = express();
app.use(compression({ threshold: 0 }), cookieParser());
app.get("/", (_request, response) => response.cookie("token", "ann-secret", { sameSite: "strict" }).send(page));
app.get("/countdown/:from", authenticate, countdown);
app.get("/feed", authenticate, feed);
app.post("/news", authenticate, express.json(), async (request, response) => {
  const data = { ...request.body, by: request.user };
  response.status(201).json({ id: await hub.publish({ channel: "news", event: "headline", data }) });
});

const page = `<!doctype html>
<title>News</title>
<form><input name="title" placeholder="What is new?"> <button>Publish</button></form>
<p id="count"></p>
<ol></ol>
<script>
  const count = new EventSource("/countdown/5");
  count.addEventListener("count", (event) => (document.querySelector("#count").textContent = JSON.parse(event.data).n));
  const feed = new EventSource("/feed");
  feed.addEventListener("headline", (event) => {
    const { title, by } = JSON.parse(event.data);
    document.querySelector("ol").appendChild(document.createElement("li")).textContent = title + " (" + by + ")";
  });
  document.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = JSON.stringify({ title: event.target.title.value });
    await fetch("/news", { method: "POST", headers: { "content-type": "application/json" }, body });
    event.target.reset();
  });
</script>
`;

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
