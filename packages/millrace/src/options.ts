import type { Answer } from "./http/api.js";
import type { Authorize } from "./http/authorize.js";
import type { Limits } from "./http/limits.js";
import type { HubOptions } from "./hub/index.js";
import type { Log } from "./log/index.js";
import { checkNumber, invalidOption, maxTimerMs } from "./protocol/index.js";

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
  /**
   * Whether streams are compressed (gzip) for clients that accept it. Default false: it takes processor time, a proxy in
   * front may do it already, and it can give away secrets that share a stream with what an attacker chooses (BREACH).
   */
  readonly compression?: boolean;
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
  const { heartbeatMs, retryMs, maxAgeMs, stallMs, streamRate, compression = false } = options;
  if (typeof compression !== "boolean") throw invalidOption("compression", compression, "it is true or false");
  if (heartbeatMs !== Infinity) checkNumber("heartbeatMs", heartbeatMs, 0, maxTimerMs);
  checkNumber("retryMs", retryMs, 0, maxTimerMs);
  for (const [name, value] of Object.entries({ maxAgeMs, stallMs, streamRate, ...named(options.limits ?? {}) })) {
    checkNumber(name, value, Number.MIN_VALUE, Infinity);
  }
}

const named = (limits: Partial<Limits>): Record<string, number> =>
  Object.fromEntries(Object.entries(limits).map(([name, value]) => [`limits.${name}`, value]));
