// Appends at full speed until it is killed: node append.mjs LIBRARY FOLDER OPTIONS. Each acknowledged append is a line.
import fs from "node:fs";

const [library, folder, options] = process.argv.slice(2);
const { openDiskLog } = await import(`${library}/log/disk/index.js`);
const log = await openDiskLog(folder, JSON.parse(options));
const eventOf = (channel, data) => ({ channel, event: undefined, data, json: false, key: undefined, retry: undefined });
let n = 0;
const writer = async (name) => {
  for (let at = 0; ; at++) {
    const count = 1 + (n % 5);
    const events = Array.from({ length: count }, () => {
      n++;
      return eventOf(`${name}/${n % 3}`, `${n} ${"x".repeat(n % 200)}`);
    });
    const data = events.map((event) => event.data);
    const key = at % 4 === 0 ? `${process.pid} ${name} ${at}` : undefined;
    const { first } = await log.append(events, key && { idempotency: { key, digest: "d" } });
    fs.writeSync(1, `${JSON.stringify({ first, data, key, position: log.position(first + count - 1) })}\n`);
  }
};
// A channel that is quiet: one entry each time, which must outlive the files that it lies in.
const { first } = await log.append([eventOf("quiet", `quiet ${process.pid}`)]);
fs.writeSync(1, `${JSON.stringify({ first, data: [`quiet ${process.pid}`], position: log.position(first) })}\n`);
await Promise.all(["a", "b", "c"].map(writer));
