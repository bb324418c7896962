// Publishes new values of symbols at a rate, as a feed of prices does: node symbols.mjs PORT SYMBOLS UPDATES-A-SECOND
//
// NDJSON, a request at a time on one connection, each with what has fallen due: the key is the symbol, and the data says
// when it was made.
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const [port, symbols, rate] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const headers = { "content-type": "application/x-ndjson" };

function post(body) {
  return new Promise((resolve, reject) => {
    const options = { agent, port, host: "127.0.0.1", method: "POST", path: "/publish", headers };
    const request = http.request(options, (response) => {
      if (response.statusCode !== 200) reject(new Error(`the hub answered ${response.statusCode}`));
      response.resume().once("end", resolve);
    });
    request.once("error", reject).end(body);
  });
}

let stopped = false;
process.on("message", () => {
  stopped = true;
});
const startMs = performance.now();
let published = 0;
while (!stopped) {
  const due = Math.min(published + 1000, Math.floor(((performance.now() - startMs) / 1000) * rate));
  if (due === published) {
    await sleep(1);
    continue;
  }
  const lines = [];
  for (; published < due; published++) {
    // Not in turn: a real feed has symbols that change often and such that hardly do.
    const symbol = Math.floor(Math.random() ** 2 * symbols);
    const data = `n=${published};t=${process.hrtime.bigint()};${"price".padEnd(45, "0")}`;
    lines.push(JSON.stringify({ channel: "prices", key: `S${symbol}`, data }));
  }
  await post(lines.join("\n"));
}
process.send({ published, seconds: (performance.now() - startMs) / 1000 }, () => process.exit());
