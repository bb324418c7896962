// The reference: a bare Node server that writes one shared Buffer to every connection, RATE times a second, COUNT times.
// node sockets.mjs CONNECTIONS RATE COUNT. It has no log, no channels, no cursors and no publishers.
import net from "node:net";

const [connections, rate, count] = process.argv.slice(2).map(Number);
const sockets = [];
const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  socket.once("data", () => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    sockets.push(socket);
    if (sockets.length === connections) setTimeout(run, 500);
  });
});
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));

function run() {
  const startMs = performance.now();
  let n = 0;
  process.send("start");
  const tick = () => {
    const due = Math.min(count, Math.floor(((performance.now() - startMs) / 1000) * rate) + 1);
    if (n < due) {
      let text = "";
      for (; n < due; n++)
        text += `id: reference-${n}\nchannel: bench\ndata: ${`n=${n};t=${process.hrtime.bigint()};`.padEnd(100, "x")}\n\n`;
      const bytes = Buffer.from(text);
      for (const socket of sockets) socket.write(bytes);
    }
    if (n < count) setTimeout(tick, Math.max(0, startMs + (n / rate) * 1000 - performance.now()));
    else process.send("sent");
  };
  tick();
}
process.on("disconnect", () => process.exit());
