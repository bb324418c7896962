// A chat with rooms: what is said in a room is a channel, and those who come later read what was said before.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/streams/chat.mjs           then open http://127.0.0.1:3000 in two windows
//   curl --json '{"name":"Ann","text":"Hello"}' http://127.0.0.1:3000/rooms/kitchen
//   curl http://127.0.0.1:3000/rooms/kitchen/people          how many are there
//
// To see: both windows have everything, in the same order; close one, say something, open it again: nothing is missing.
import { createHub, createServer } from "millrace";

const rooms = new Set(["kitchen", "hall"]);
const hub = createHub();
const server = createServer({ port: Number(process.env.PORT ?? 3000) });

server.get(
  "/rooms/:room",
  hub.stream(({ params: { room } }) =>
    rooms.has(room) ? { channels: `rooms/${room}`, rewind: 50 } : { refuse: 404, reason: "there is no such room" },
  ),
);

server.post("/rooms/:room", async (request, response) => {
  if (!rooms.has(request.params.room)) {
    response.statusCode = 404;
    return { error: "there is no such room" };
  }
  const { name, text } = (await request.json()) ?? {};
  if (typeof name !== "string" || typeof text !== "string" || text === "") {
    response.statusCode = 400;
    return { error: 'say {"name": "Ann", "text": "Hello"}' };
  }
  const data = { name: name.slice(0, 40), text: text.slice(0, 2000), timestamp: Date.now() };
  return { id: await hub.publish({ channel: `rooms/${request.params.room}`, event: "said", data }) };
});

server.get("/rooms/:room/people", ({ params }) => ({ people: hub.watchers(`rooms/${params.room}`) }));

server.get(
  "/",
  () => `<!doctype html>
<title>Chat</title>
<link rel="icon" href="data:,">
<h1>The kitchen</h1>
<ol></ol>
<form>
  <input name="name" placeholder="Name" required>
  <input name="text" placeholder="Text" required>
  <button>Say</button>
</form>
<script>
  const room = "/rooms/kitchen";
  const list = document.querySelector("ol");
  new EventSource(room).addEventListener("said", ({ data }) => {
    const { name, text } = JSON.parse(data);
    list.appendChild(document.createElement("li")).textContent = name + ": " + text;
  });
  document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    const { name, text } = event.target;
    fetch(room, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: name.value, text: text.value }),
    });
    text.value = "";
  };
</script>
`,
);

console.log(`The chat is at ${await server.run()}`);
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    await hub.close();
    await server.stop();
  });
}
