// Opens N streams, sends what it is told on each, and holds them: node holders.mjs PORT REQUEST CONNECTIONS
// Says "open" when each has heard the end of a block. What it hears later is thrown away.
import net from "node:net";

const [port, request, connections] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
/** Connections that are being opened at a time: more would wait in the server's backlog, and try again after a second. */
const atOnce = 256;
/** One source address has about 28,000 ports. */
const perAddress = 20_000;
let begun = 0;
let open = 0;

function next() {
  if (begun === connections) return;
  const address = Math.floor(begun++ / perAddress);
  // The first is left to the system: it also takes ports that wait for the end of connections to other servers.
  const from = address === 0 ? {} : { localAddress: `127.0.0.${1 + address}` };
  const socket = net.connect({ port, host: "127.0.0.1", ...from });
  socket.write(request);
  socket.on("error", (error) => {
    throw error;
  });
  let heard = "";
  const hear = (chunk) => {
    heard += chunk.latin1Slice();
    if (!/\r\n\r\n.*\n\n/s.test(heard)) return;
    socket.off("data", hear).resume();
    heard = "";
    if (++open === connections) process.send?.("open");
    next();
  };
  socket.on("data", hear);
  socket.on("close", () => {
    throw new Error(`the server closed stream ${open} of ${connections}: ${heard}`);
  });
}
for (let at = 0; at < Math.min(atOnce, connections); at++) next();
process.on("disconnect", () => process.exit());
