import type { Answer } from "./http/api.js";
import type { Authorize } from "./http/authorize.js";
import type { Limits } from "./http/limits.js";
import type { HubOptions } from "./hub/index.js";
import type { Log } from "./log/index.js";
import { MillraceError, maxTimerMs } from "./protocol/index.js";

export interface MillraceOptions extends Omit<HubOptions, "log"> {
  /** Where events are kept. Default: in memory. `openDiskLog` of `millrace/log/disk` keeps them on disk. */
  readonly log?: Log;
  /** Who may do what over HTTP. Default: anyone may subscribe, nobody may publish. */
  readonly authorize?: Authorize;
  /** Bounds on what clients may use; one that is left out has its default. */
  readonly limits?: Partial<Limits>;
  /** Origins whose pages may use the hub, `*` for any without credentials. Default: none but its own. */
  readonly corsOrigins?: readonly string[];
  /** Whether pages of a loopback origin may read. Default false; right for a hub that listens on loopback only. */
  readonly loopbackOrigins?: boolean;
  /**
   * Names that requests may have in `Host`, beside loopback ones; with a port, only on that one. Default: any. An empty
   * list guards against DNS rebinding.
   */
  readonly allowedHosts?: readonly string[];
  /** Further parameters of `/events`, the application's own. Default: none, and unknown ones are refused. */
  readonly allowedParameters?: readonly string[];
  /** Addresses of proxies whose `X-Forwarded-For` is believed. Default: none. */
  readonly trustedProxies?: readonly string[];
  /** Told of each answer over HTTP; of a stream when it opens. Default: nobody. */
  readonly onAnswer?: (answer: Answer) => void;
  /** Text for `/metrics`, with its content type. Default: `/metrics` is 404. */
  readonly metrics?: () => Promise<{ type: string; text: string }>;
  /** Told what went wrong inside, with nothing of it sent to a client. Default: `console.error`. */
  readonly onError?: (error: unknown) => void;
}

/** @throws MillraceError `invalid_option`, with its name and what it was given */
export function checkOptions(options: MillraceOptions): void {
  const { heartbeatMs, retryMs, maxAgeMs, stallMs, streamRate } = options;
  if (heartbeatMs !== Infinity) check("heartbeatMs", heartbeatMs, 0, maxTimerMs);
  check("retryMs", retryMs, 0, maxTimerMs);
  for (const [name, value] of Object.entries({ maxAgeMs, stallMs, streamRate, ...named(options.limits ?? {}) })) {
    check(name, value, Number.MIN_VALUE, Infinity);
  }
}

const named = (limits: Partial<Limits>): Record<string, number> =>
  Object.fromEntries(Object.entries(limits).map(([name, value]) => [`limits.${name}`, value]));

function check(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (typeof value === "number" && value >= least && value <= most)) return;
  const range = least === 0 ? `from 0 to ${most}` : "greater than 0";
  throw invalid(name, value, `it is a number ${range}`);
}

const invalid = (name: string, value: unknown, right: string): MillraceError => {
  const shown = typeof value === "number" ? value : JSON.stringify(value);
  return new MillraceError("invalid_option", `${name} is ${shown}: ${right}`);
};

/** A name as `Host` has it. @throws MillraceError `invalid_option` when it can match none */
export function hostOf(host: string): string {
  const [, name = "", port = ""] = /^(\[[\da-f:.]+\]|[^\s/?#@:*[\]\\]+?)\.?(:\d{1,5})?$/i.exec(host) ?? [];
  const url = name === "" ? undefined : parseUrl(`http://${name}`);
  if (url) return url.hostname + port;
  throw invalid(
    "allowedHosts",
    host,
    "it is a name, such as hub.example or hub.example:8443; leave it out to allow any",
  );
}

/** An origin as pages send it, or `*`. @throws MillraceError `invalid_option` when it can match none */
export function originOf(origin: string): string {
  if (origin === "*") return origin;
  const url = parseUrl(origin);
  const bare = url && `${url.pathname}${url.search}${url.hash}${url.username}${url.password}`;
  // Of schemes such as `capacitor:` the standard knows no origin, but their pages send one.
  if (url?.host && !url.host.includes("*") && (bare === "/" || bare === "")) return `${url.protocol}//${url.host}`;
  throw invalid("corsOrigins", origin, "it is an origin, such as https://app.example, or *");
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
