// Hono: streamSSE on its Node server. It has no channels; this writes to every stream, and waits for all before the next.
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { publishWhenTold } from "../support/timer.mjs";

const [rate, count] = process.argv.slice(2).map(Number);
const streams = new Set();
const app = new Hono();
app.get("/", (context) =>
  streamSSE(context, async (stream) => {
    await stream.write(": open\n\n");
    streams.add(stream);
    await new Promise((resolve) => stream.onAbort(resolve));
    streams.delete(stream);
  }),
);
serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) =>
  publishWhenTold(port, rate, count, async (events) => {
    for (const { n, data } of events) {
      const event = { event: "tick", id: `reference-${n}`, data };
      await Promise.all(Array.from(streams, (stream) => stream.writeSSE(event)));
    }
  }),
);
