// ws: WebSockets, without compression; each event is a message.
import { WebSocketServer } from "ws";
import { publishWhenTold } from "../support/timer.mjs";

const [rate, count] = process.argv.slice(2).map(Number);
const options = { port: 0, host: "127.0.0.1", backlog: 4096, perMessageDeflate: false, skipUTF8Validation: true };
const server = new WebSocketServer(options, () =>
  publishWhenTold(server.address().port, rate, count, (events) => {
    for (const { n, data } of events) {
      const message = Buffer.from(`id: reference-${n} channel: bench ${data}`);
      for (const client of server.clients) client.send(message, { binary: false });
    }
  }),
);
