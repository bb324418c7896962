// The references for publishing, on bare node:http: node bare-http.mjs. GET is answered "hello world"; a POST's body is
// read as JSON, and its `data` written to the one socket that waits on the second port. No log, no channels, no checks.
import { once } from "node:events";
import http from "node:http";
import net from "node:net";

let waiting;
const waitingServer = net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  socket.once("data", () => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    waiting = socket;
  });
});
const server = http.createServer((request, response) => {
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "text/plain", "content-length": 11 }).end("hello world");
    return;
  }
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const { data } = JSON.parse(Buffer.concat(parts).toString());
    waiting?.write(`data: ${data}\n\n`);
    const body = '{"ids":["a"]}\n';
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
  });
});
await Promise.all([server, waitingServer].map((one) => once(one.listen(0, "127.0.0.1"), "listening")));
process.send({ port: server.address().port, waitingPort: waitingServer.address().port });
process.on("disconnect", () => process.exit());
