// Streams for those who have a token: 401 without one, 403 with a bad one, and the end when it expires.
//
//   npm ci && npm run build                  once, in the repository
//   node examples/streams/jwt.mjs            prints TOKEN=…, good for a minute: paste it into a second terminal
//   curl -N -H "Authorization: Bearer $TOKEN" http://127.0.0.1:3000/events
//   curl -X POST -H "Authorization: Bearer $TOKEN" http://127.0.0.1:3000/tickets
//   curl -N "http://127.0.0.1:3000/events?ticket=…"       within 30 s, and once
//
// To see: the handler knows who it is; the stream ends at the token's second (sooner with LIFETIME=5s node …). A native
// EventSource sends no header: it comes with a ticket, which is good for one request, so that no token is ever in an
// address.
import { setTimeout as sleep } from "node:timers/promises";
import { SignJWT } from "jose";
import { createServer, createTickets } from "millrace";
import { jwt } from "millrace/jwt";

const secret = crypto.getRandomValues(new Uint8Array(32)); // an application has it from its configuration
const server = createServer({ port: Number(process.env.PORT ?? 3000) });
const tickets = createTickets();
const verify = jwt({ secret, issuer: "millrace-example", audience: "events" });

server.stream(
  "/events",
  async (stream) => {
    const { user, roles } = stream.identity;
    await stream.send({ event: "connected", data: { user, roles } });
    for (let n = 1; ; n++) {
      await stream.send({ event: "tick", data: { n } });
      await sleep(1000);
    }
  },
  { authorize: tickets.or(verify) },
);

server.post("/tickets", ({ identity }) => ({ ticket: tickets.issue(identity) }), {
  authorize: verify,
  action: "subscribe", // asking for a ticket is: nothing is published
});

console.log(`Streams for those with a token are at ${await server.run()}/events`);
const token = await new SignJWT({ roles: ["reader"] })
  .setProtectedHeader({ alg: "HS256" })
  .setSubject("ann")
  .setIssuer("millrace-example")
  .setAudience("events")
  .setExpirationTime(process.env.LIFETIME ?? "1m")
  .sign(secret);
console.log(`TOKEN=${token}`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.stop());
