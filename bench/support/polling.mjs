// A small node:http server for clients that ask again and again: node polling.mjs RATE COUNT. GET /?after=N answers with
// the events behind number N, as JSON; without N, with the number of the last one.
import http from "node:http";
import { publishWhenTold } from "./timer.mjs";

const [rate, count] = process.argv.slice(2).map(Number);
const kept = 1000;
const events = [];
const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const after = Number(/after=(-?\d+)/.exec(request.url)?.[1] ?? Number.MAX_SAFE_INTEGER);
  const body = JSON.stringify({ last: events.at(-1)?.n ?? -1, events: events.filter(({ n }) => n > after) });
  response.setHeader("Content-Type", "application/json").setHeader("Cache-Control", "no-store");
  response.setHeader("Content-Length", Buffer.byteLength(body)).end(body);
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
  publishWhenTold(server.address().port, rate, count, (due) => {
    events.push(...due);
    events.splice(0, events.length - kept);
  }),
);
