import { createHash, timingSafeEqual } from "node:crypto";
import type { AccessRequest, Authorize, Identity, Refusal } from "millrace";
import { UsageError } from "../cli/option.js";

export interface AccessOptions {
  readonly host: string;
  readonly apiKeys: readonly string[];
  readonly allowAnonymous: boolean;
}

/** Whether an address to listen on can be reached from this machine only. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);

/** @throws UsageError for a hub that anyone could reach and nobody decided about */
export function checkBind({ host, apiKeys, allowAnonymous }: AccessOptions): void {
  if (isLoopback(host) || apiKeys.length > 0 || allowAnonymous) return;
  throw new UsageError(
    `${host} can be reached from outside this machine: give --api-key KEY (for publishers), or --allow-anonymous (anyone may publish and subscribe)`,
  );
}

/**
 * Who may do what. The key may do everything; without it:
 *
 *     bind          --api-key   --allow-anonymous   publish   subscribe, metrics   connections
 *     loopback      no          any                 yes       yes                  yes
 *     loopback      yes         any                 no        yes                  no
 *     off loopback  no          yes                 yes       yes                  no
 *     off loopback  yes         yes                 no        yes                  no
 *     off loopback  yes         no                  no        no                   no
 *
 * The list of connections holds addresses, and through it anyone could be disconnected: strangers never see it. And a
 * hub on loopback behind a proxy is one that strangers reach: what needs no key there needs a request that comes from
 * this machine, by its `Host` and by the address that a trusted proxy passes on.
 */
export function createAccess({ host, apiKeys, allowAnonymous }: AccessOptions): Authorize {
  const keys = apiKeys.map(digest);
  const loopback = isLoopback(host);
  const reading = loopback || allowAnonymous;
  const open = {
    subscribe: reading,
    metrics: reading,
    publish: reading && keys.length === 0,
    inspect: loopback && keys.length === 0,
  };
  const mayAsStranger = { subscribe: true, metrics: true, publish: allowAnonymous, inspect: false };
  return (request, { action }): Identity | Refusal => {
    const header = request.header("authorization");
    if (header === undefined || keys.length === 0) {
      if (open[action] && (mayAsStranger[action] || isLocal(request))) return nobody;
      if (keys.length === 0) return { refuse: 403, reason: `${action} needs an API key, and this hub has none` };
      return { refuse: 401, reason: `${action} needs the API key: send Authorization: Bearer KEY` };
    }
    // Digests have one length, so comparing them tells nothing about the key.
    const given = digest(/^Bearer +(\S+)$/i.exec(header)?.[1] ?? "");
    if (keys.some((key) => timingSafeEqual(key, given))) return nobody;
    return { refuse: 403, reason: "the API key is not right" };
  };
}

/** One for all connections: each keeps its identity for as long as it lasts. */
const nobody: Identity = {};

function isLocal(request: AccessRequest): boolean {
  const name = (request.header("host") ?? "").replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  const local = isLoopback(name.toLowerCase()) || name.endsWith(".localhost");
  return local && isLoopback(request.remoteAddress ?? "");
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
