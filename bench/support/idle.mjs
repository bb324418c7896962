// Servers that answer with an opening block and hold the connection, and nothing else: node idle.mjs http|net
import http from "node:http";
import net from "node:net";

const held = new Set();
const opening = "retry: 2000\nid: reference-0\n\n";
const servers = {
  http: () =>
    http.createServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(opening);
      held.add(response);
      response.on("close", () => held.delete(response));
    }),
  net: () =>
    net.createServer({ noDelay: true }, (socket) => {
      held.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => held.delete(socket));
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n${opening}`);
        socket.resume();
      });
    }),
};
const server = servers[process.argv[2]]();
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => process.send({ port: server.address().port }));
process.on("disconnect", () => process.exit());
