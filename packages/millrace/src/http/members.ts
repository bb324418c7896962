import type { Api } from "./api.js";
import type { Exchange } from "./exchange.js";
import { readJson } from "./json.js";
import { Problem } from "./problem.js";
import { parseQuery } from "./query.js";

/** How many times more channels a body may name than an address: a selection is kept for as long as its stream. */
const bodyFactor = 10;

/** Most channels that a body may name. */
export const mostChannels = ({ gate }: Api): number => gate.limits.channels * bodyFactor;

/**
 * The members of a JSON object in the body. The address may have a ticket and the application's own parameters, and no
 * other.
 * @throws Problem 400 that names what is known, or shows the `example`
 */
export async function readMembers(
  api: Api,
  exchange: Exchange,
  known: readonly string[],
  example: string,
): Promise<{ readonly [name: string]: unknown }> {
  for (const [name] of parseQuery(exchange.query)) {
    if (name === "ticket" || api.allowedParameters.includes(name)) continue; // a credential selects nothing
    throw new Problem(
      400,
      "unknown_parameter",
      `${JSON.stringify(name)} belongs in the body: known are ${known.join(", ")}`,
    );
  }
  const body = await readJson(exchange, api.intake);
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Problem(400, "invalid_body", `the body is an object such as ${example}`);
  }
  for (const name of Object.keys(body)) {
    if (known.includes(name)) continue;
    throw new Problem(400, "unknown_member", `unknown member ${JSON.stringify(name)}: known are ${known.join(", ")}`);
  }
  return body as { readonly [name: string]: unknown };
}

/** A member that lists channels; without it, none. @throws Problem 400 */
export function channelList(api: Api, name: string, value: unknown = []): string[] {
  if (!Array.isArray(value) || !value.every((channel) => typeof channel === "string")) {
    throw new Problem(400, "invalid_member", `${name} must be an array of strings`);
  }
  if (value.length > mostChannels(api)) {
    throw new Problem(
      400,
      "too_many_channels",
      `a body may name ${mostChannels(api)} channels: use a prefix, such as "news/*"`,
    );
  }
  return value as string[];
}
