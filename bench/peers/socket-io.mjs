// Socket.IO: WebSockets only, without compression; its broadcast encodes a message once for all.
import http from "node:http";
import { Server } from "socket.io";
import { publishWhenTold } from "../support/timer.mjs";

const [rate, count] = process.argv.slice(2).map(Number);
const server = http.createServer();
const io = new Server(server, {
  transports: ["websocket"],
  perMessageDeflate: false,
  serveClient: false,
  pingInterval: 600_000, // the readers do not answer
});
// The readers only listen: what a client says to enter the default namespace is said here.
io.engine.on("connection", (socket) => setImmediate(() => socket.emit("data", "0")));
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
  publishWhenTold(server.address().port, rate, count, (events) => {
    for (const { n, data } of events) io.emit("tick", `reference-${n} ${data}`);
  }),
);
