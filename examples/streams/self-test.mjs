// How fast is a stream from here? 1,000 events, one each millisecond, and a summary.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/streams/self-test.mjs
//   curl -iN http://127.0.0.1:3000/self-test
//
// To see: each event has its number, the time, the client's id (also in the header X-Client-ID), and what the one
// before took; the last one is `summary`. The terminal has a line for every hundredth event.
import { createServer } from "millrace";
import { selfTest } from "millrace/sources";

const server = createServer({ port: Number(process.env.PORT ?? 3000) });

server.stream("/self-test", selfTest(), { headers: ({ id }) => ({ "X-Client-ID": id }) });

console.log(`The self-test is at ${await server.run()}/self-test`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.stop());
