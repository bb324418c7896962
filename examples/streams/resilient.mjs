// A source that fails one time in ten: clients are told, it is tried again, and given up at the third failure in a row.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/streams/resilient.mjs
//   curl -N http://127.0.0.1:3000/events
//
// To see: a reading each 500 ms. On a failure `retry: 5000` with {"retry": n}, and a pause of a second. At the third in
// a row {"error": "Max retries exceeded: …"}, and the stream ends. FAILURES=1 node … fails always.
import { createServer } from "millrace";
import { resilient } from "millrace/sources";

const failures = Number(process.env.FAILURES ?? 0.1);
const server = createServer({ port: Number(process.env.PORT ?? 3000) });

function readSensor() {
  if (Math.random() < failures) throw new Error("the sensor does not answer");
  return { celsius: Number((20 + Math.random()).toFixed(2)), timestamp: Date.now() };
}

server.stream("/events", ({ signal }) => resilient(readSensor, { everyMs: 500, attempts: 3, signal }));

console.log(`Readings are at ${await server.run()}/events`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.stop());
