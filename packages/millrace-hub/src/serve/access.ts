import { createHash, timingSafeEqual } from "node:crypto";
import type { Authorize, Identity, Refusal } from "millrace";
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
 * Who may do what: publishing and the list of connections need the key where there is one, reading needs it off
 * loopback unless strangers are allowed.
 */
export function createAccess({ host, apiKeys, allowAnonymous }: AccessOptions): Authorize {
  const keys = apiKeys.map(digest);
  const open = isLoopback(host) || allowAnonymous;
  return (request, { action }): Identity | Refusal => {
    const reading = action === "subscribe" || action === "metrics";
    const header = request.header("authorization");
    if (header === undefined) {
      if (reading ? open : open && keys.length === 0) return {};
      return { refuse: 401, reason: `${action} needs the API key: send Authorization: Bearer KEY` };
    }
    const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
    if (keys.length === 0) return open ? {} : { refuse: 403, reason: "this hub has no API key" };
    // Digests have one length, so comparing them tells nothing about the key.
    const given = token === undefined ? undefined : digest(token);
    if (given && keys.some((key) => timingSafeEqual(key, given))) return {};
    return { refuse: 403, reason: "the API key is not right" };
  };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
