// better-sse: one channel; what falls due together goes out by its batches, each made once.
import http from "node:http";
import { createChannel, createEventBuffer, createSession } from "better-sse";
import { publishWhenTold } from "../support/timer.mjs";

const [rate, count] = process.argv.slice(2).map(Number);
const asItIs = (text) => text;
const channel = createChannel();
const server = http.createServer(async (request, response) => {
  channel.register(await createSession(request, response, { serializer: asItIs, sanitizer: asItIs, keepAlive: null }));
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () =>
  publishWhenTold(server.address().port, rate, count, async (events) => {
    if (events.length === 1) {
      const [{ n, data }] = events;
      channel.broadcast(data, "tick", { eventId: `reference-${n}` });
      return;
    }
    const buffer = createEventBuffer({ serializer: asItIs, sanitizer: asItIs });
    for (const { n, data } of events) buffer.push(data, "tick", `reference-${n}`);
    await Promise.all(channel.activeSessions.map((session) => session.batch(buffer)));
  }),
);
