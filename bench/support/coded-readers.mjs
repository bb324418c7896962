// Opens N streams that accept gzip, or do not, and counts what comes: node coded-readers.mjs PORT PATH CONNECTIONS gzip|plain NEWCOMERS
//
// Only the first one is inflated and read: that is the clients' work, and there are a thousand of them here. NEWCOMERS: how
// many streams a second come for a moment. Says "open"; is told "count" and the text that ends the last event; answers
// { bytes, events } once the first has read that and nothing more comes for anyone.
import net from "node:net";
import zlib from "node:zlib";

const [port, path, connections, coding, newcomers] = process.argv.slice(2);
const accepts = coding === "gzip" ? "Accept-Encoding: gzip\r\n" : "";
const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n${accepts}\r\n`;
const inflate = coding === "gzip" ? zlib.createGunzip() : undefined;
let open = 0;
let bytes = 0;
let latestMs = 0;
let text = "";
let last;

const read = (part) => {
  text += part;
};
inflate?.setEncoding("utf8").on("data", read);

/** `body` is given what follows the head. */
function connect(body) {
  const socket = net.connect(Number(port), "127.0.0.1");
  socket.write(request);
  let head = "";
  socket.on("data", (chunk) => {
    if (head !== undefined) {
      head += chunk.latin1Slice();
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!/^HTTP\/1.1 200/.test(head) || /^content-encoding: gzip/im.test(head) !== (coding === "gzip")) {
        throw new Error(`not the answer that was wanted: ${head}`);
      }
      const rest = Buffer.from(head.slice(end + 4), "latin1");
      head = undefined;
      if (++open === Number(connections)) process.send("open");
      if (rest.length > 0) body(rest);
      return;
    }
    body(chunk);
  });
  return socket;
}

const count = (chunk) => {
  bytes += chunk.length;
  latestMs = performance.now();
};
for (let at = 0; at < Number(connections); at++) {
  const first = (chunk) => {
    count(chunk);
    if (inflate) inflate.write(chunk);
    else read(chunk.toString());
  };
  connect(at === 0 ? first : count);
}
if (Number(newcomers) > 0) {
  const stay = 500 / Number(newcomers);
  setInterval(() => {
    const socket = connect(() => {});
    setTimeout(() => socket.destroy(), stay);
  }, 1000 / Number(newcomers));
}

process.on("message", (message) => {
  if (message.count) {
    bytes = 0;
    text = "";
    last = undefined;
  } else last = message.last;
});
setInterval(() => {
  if (last === undefined || !text.includes(last) || performance.now() - latestMs < 300) return;
  process.send({ bytes, events: text.split("\ndata: ").length - 1 });
  process.exit();
}, 50);
process.on("disconnect", () => process.exit());
