import type { Hub } from "../../hub/index.js";
import { parseSelection } from "../../protocol/index.js";
import type { Api } from "../api.js";
import { admit } from "../authorize.js";
import type { Exchange, Headers } from "../exchange.js";
import { channelList, mostChannels, readMembers } from "../members.js";
import { Problem } from "../problem.js";
import { decode, parseQuery } from "../query.js";

/** GET /connections: who is connected, and where each is in the log. */
export async function listConnections({ hub, authorize }: Api, exchange: Exchange, headers: Headers): Promise<void> {
  await admit(authorize, exchange, "inspect", []);
  if (exchange.query !== "") throw new Problem(400, "unknown_parameter", "the list of connections takes no parameters");
  exchange.respond(
    200,
    { ...headers, "content-type": "application/json" },
    `${JSON.stringify({ connections: [...hub.connections()] })}\n`,
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
  const subscriber = find(hub, exchange.path.slice("/connections/".length));
  hub.disconnect(subscriber, { reconnect: value === "true" });
  exchange.respond(204, headers);
}

/**
 * POST /connections/ID/channels: changes what a stream reads, for the client that opened it. Its user has to be the same;
 * of strangers, who knows the id, which cannot be guessed, is the one.
 */
export async function changeChannels(api: Api, exchange: Exchange, headers: Headers): Promise<void> {
  const { hub, authorize } = api;
  const members = await readMembers(api, exchange, ["add", "drop"], '{"add":["chat/7"],"drop":["chat/4"]}');
  const add = channelList(api, "add", members.add);
  const drop = channelList(api, "drop", members.drop);
  parseSelection(add);
  const { user, expiresAtMs } = await admit(authorize, exchange, "subscribe", add);
  const [, , id = ""] = exchange.path.split("/");
  const subscriber = find(hub, id);
  if (subscriber.identity.change === false) {
    throw new Problem(403, "forbidden", "what this connection reads is for the application to choose");
  }
  if (subscriber.identity.user !== user) throw new Problem(403, "forbidden", "somebody else opened that connection");
  const channels = new Set([...subscriber.channels, ...add]);
  for (const channel of drop) channels.delete(channel);
  if (add.length > 0 && channels.size > mostChannels(api)) {
    throw new Problem(
      400,
      "too_many_channels",
      `a connection may have ${mostChannels(api)} channels, and would have ${channels.size}: use a prefix, or drop some`,
    );
  }
  if (hub.log.shared) await hub.log.shared.refresh(); // else what is added would begin in the past
  const changed = hub.changeChannels(subscriber, { add, drop, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) });
  exchange.respond(
    200,
    { ...headers, "content-type": "application/json", "millrace-position": changed.position },
    `${JSON.stringify({ channels: changed.channels })}\n`,
  );
}

/** The connection of an id as the path has it. @throws Problem 404 */
function find(hub: Hub, id: string): NonNullable<ReturnType<Hub["connection"]>> {
  const subscriber = hub.connection(decode(id));
  if (!subscriber) throw new Problem(404, "connection_gone", "that connection is not there");
  return subscriber;
}
