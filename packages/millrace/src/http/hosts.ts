import { isLoopbackHost } from "./cors.js";
import type { Exchange } from "./exchange.js";
import { Problem } from "./problem.js";

/** @param allowed names as `hostOf` gives them, beside loopback ones; undefined: any. @throws Problem 403 for another */
export function checkHost(allowed: readonly string[] | undefined, exchange: Exchange): void {
  if (!allowed) return;
  const host = exchange.header("host") ?? "";
  if (isLoopbackHost(host)) return;
  const known = host.toLowerCase().replace(/\.(?=:\d+$|$)/, "");
  if (allowed.includes(known) || allowed.includes(known.replace(/:\d+$/, ""))) return;
  throw new Problem(
    403,
    "forbidden_host",
    `this server is not known as ${JSON.stringify(host.slice(0, 100))}: allowedHosts (--allowed-host) adds a name, for a proxy in front of it`,
  );
}
