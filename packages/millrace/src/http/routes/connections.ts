import type { Hub } from "../../hub/index.js";
import type { Api } from "../api.js";
import { admit } from "../authorize.js";
import type { Exchange, Headers } from "../exchange.js";
import { Problem } from "../problem.js";
import { decode, parseQuery } from "../query.js";

/** GET /connections: who is connected, and where each is in the log. */
export async function listConnections({ hub, authorize }: Api, exchange: Exchange, headers: Headers): Promise<void> {
  await admit(authorize, exchange, "inspect", []);
  if (exchange.query !== "") throw new Problem(400, "unknown_parameter", "the list of connections takes no parameters");
  exchange.respond(
    200,
    { ...headers, "content-type": "application/json" },
    `${JSON.stringify({ connections: describe(hub) })}\n`,
  );
}

/** DELETE /connections/ID: ends a stream. `?reconnect=false` tells its client not to come back. */
export async function endConnection({ hub, authorize }: Api, exchange: Exchange, headers: Headers): Promise<void> {
  await admit(authorize, exchange, "inspect", []);
  const parameters = parseQuery(exchange.query);
  const unknown = parameters.find(([name]) => name !== "reconnect");
  if (unknown)
    throw new Problem(400, "unknown_parameter", `unknown parameter ${JSON.stringify(unknown[0])}: known is reconnect`);
  const [value = "true", ...more] = parameters.map(([, said]) => said);
  if (more.length > 0 || (value !== "true" && value !== "false")) {
    throw new Problem(400, "invalid_parameter", "reconnect may be given once, as true or false");
  }
  const subscriber = hub.connection(decode(exchange.path.slice("/connections/".length)));
  if (!subscriber) throw new Problem(404, "connection_gone", "that connection is not there");
  hub.disconnect(subscriber, { reconnect: value === "true" });
  exchange.respond(204, headers);
}

function describe(hub: Hub): unknown[] {
  return Array.from(hub.connections(), (subscriber) => {
    const { id, identity, channels, form, transport, state, openedAtMs, remoteAddress } = subscriber;
    return {
      ...{ id, user: identity.user ?? null, roles: identity.roles ?? [], channels, format: form, transport, state },
      position: hub.positionOf(subscriber),
      openedAt: new Date(openedAtMs).toISOString(),
      remoteAddress: remoteAddress ?? null,
    };
  });
}
