// Notifications: to a user on all their tabs, to everyone who holds a role, to one tab, to all.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/streams/notifications.mjs  then open http://127.0.0.1:3000/?user=ann and /?user=bob
//   curl --json '{"type":"success","message":"Saved"}' http://127.0.0.1:3000/users/ann
//   curl --json '{"type":"warning","message":"Deadline at six"}' http://127.0.0.1:3000/roles/editor
//   curl --json '{"type":"error","message":"The disk is full"}' http://127.0.0.1:3000/everyone
//   curl --json '{"type":"info","message":"This tab"}' http://127.0.0.1:3000/connections/…   (the id that the page shows)
//
// To see: what is sent to ann waits for her until she comes; a connection that is not there is told apart (404), and
// nothing is stored for it. An error stays on the page until it is clicked, all else goes by itself.
import { randomUUID } from "node:crypto";
import { createHub, createServer } from "millrace";

const hub = createHub({
  onConnection: ({ id }, what) => {
    if (what === "open") hub.sendToConnection(id, { event: "connected", data: { id } });
  },
});
const server = createServer({ port: Number(process.env.PORT ?? 3000) });
// An application has both from its session.
const rolesOf = new Map([
  ["ann", ["editor"]],
  ["bob", ["editor", "admin"]],
]);

server.get(
  "/feed/:user",
  hub.stream(({ params: { user } }) => ({ channels: "general", user, roles: rolesOf.get(user) ?? [], rewind: 10 })),
);

/** A route to which a notification is posted, and what is done with it. */
function notifying(path, send) {
  server.post(path, async (request, response) => {
    const { type = "info", message } = (await request.json()) ?? {};
    if (typeof message !== "string") {
      response.statusCode = 400;
      return { error: 'send {"type": "info", "message": "Hello"}' };
    }
    const data = { id: randomUUID(), type, message, timestamp: Date.now() };
    return send({ event: "notification", data }, request.params, response);
  });
}

notifying("/users/:user", async (event, { user }) => ({ id: await hub.sendToUser(user, event) }));
notifying("/roles/:role", async (event, { role }) => ({ id: await hub.sendToRole(role, event) }));
notifying("/everyone", async (event) => ({ id: await hub.broadcast(event) }));
notifying("/connections/:id", async (event, { id }, response) => {
  const there = await hub.sendToConnection(id, event);
  if (!there) response.statusCode = 404;
  return { there };
});

server.get(
  "/",
  () => `<!doctype html>
<title>Notifications</title>
<link rel="icon" href="data:,">
<style>
  body { font: 1rem system-ui; margin: 2rem; }
  [role] { padding: 0.75rem 1rem; margin: 0.5rem 0; border-left: 0.3rem solid; max-width: 30rem; background: #8881; }
  .success { border-color: green } .warning { border-color: orange }
  .error { border-color: red } .info { border-color: royalblue }
</style>
<h1>Notifications</h1>
<p>You are <b id="user"></b>, and this tab is <code id="connection"></code>.</p>
<script>
  const user = new URLSearchParams(location.search).get("user") ?? "ann";
  document.querySelector("#user").textContent = user;
  const events = new EventSource("/feed/" + encodeURIComponent(user));
  events.addEventListener("connected", ({ data }) => {
    document.querySelector("#connection").textContent = JSON.parse(data).id;
  });
  events.addEventListener("notification", ({ data }) => {
    const { type, message } = JSON.parse(data);
    const kind = ["success", "warning", "error", "info"].includes(type) ? type : "info";
    const box = document.body.appendChild(document.createElement("div"));
    box.className = kind;
    box.role = kind === "error" ? "alert" : "status";
    box.textContent = message;
    box.onclick = () => box.remove();
    if (kind !== "error") setTimeout(() => box.remove(), 5000);
  });
</script>
`,
);

console.log(`Notifications are at ${await server.run()}`);
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    await hub.close();
    await server.stop();
  });
}
