// A hub inside an application: no other process, no other port.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/node/embedded.mjs          then open http://127.0.0.1:3000 in two tabs
//   curl -d "green tea" http://127.0.0.1:3000/orders
//
// To see: the order appears in both tabs at once, and in this terminal, where the program reads its own channel. Stop
// the program and start it again: the tabs come back by themselves, and say that the orders from before are gone, since
// this hub keeps them in memory. `createHub({ log: await openDiskLog("orders") })` of "millrace/log/disk" keeps them.
import http from "node:http";
import { text } from "node:stream/consumers";
import { createHub } from "millrace";

const hub = createHub();

const server = http.createServer(async (request, response) => {
  // The hub answers its own routes (/events, /health, …); everything else is the application's.
  if (await hub.node(request, response)) return;
  if (request.method === "POST" && request.url === "/orders") {
    const id = await hub.publish({ channel: "orders", event: "order", data: { what: await text(request) } });
    response.writeHead(201).end(`${id}\n`);
  } else if (request.url === "/") {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
  } else response.writeHead(404).end("not found\n");
});

const page = `<!doctype html>
<title>Orders</title>
<h1>Orders</h1>
<ol></ol>
<script>
  const list = document.querySelector("ol");
  const show = (text) => (list.appendChild(document.createElement("li")).textContent = text);
  const events = new EventSource("/events?channel=orders&rewind=10");
  events.addEventListener("order", (event) => show(JSON.parse(event.data).what));
  events.addEventListener("millrace.gap", () => show("(orders before this one are gone)"));
</script>
`;

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`Orders are at http://127.0.0.1:${server.address().port}`);
});

const stopped = new AbortController();
process.once("SIGINT", () => stopped.abort());
process.once("SIGTERM", () => stopped.abort());

// The program is a subscriber too, with a cursor like everyone's.
for await (const { id, data } of hub.subscribe({ channels: ["orders"], signal: stopped.signal })) {
  console.log(`${id}: ${data.what}`);
}

// Clients are told to come back, and the program ends as soon as the last one has gone.
server.close();
await hub.close();
server.closeAllConnections();
