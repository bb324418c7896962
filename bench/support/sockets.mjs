// The reference: a bare Node server that writes one shared Buffer to every connection, RATE times a second, COUNT times.
// node sockets.mjs RATE COUNT; it begins when it is told. No log, no channels, no cursors and no publishers.
import net from "node:net";
import { eventBytes } from "./sizes.mjs";
import { publishWhenTold } from "./timer.mjs";

const [rate, count] = process.argv.slice(2).map(Number);
const sockets = [];
const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  socket.once("data", () => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    sockets.push(socket);
  });
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
  publishWhenTold(server.address().port, rate, count, (events) => {
    const text = ({ n, data }) =>
      `${`id: reference-${n}\nchannel: bench\ndata: ${data}`.padEnd(eventBytes - 2, "x")}\n\n`;
    const bytes = Buffer.from(events.map(text).join(""));
    for (const socket of sockets) socket.write(bytes);
  }),
);
