import net from "node:net";
import { configOption } from "../cli/read.js";
import {
  oneOf,
  orOff,
  parseCount,
  parseDuration,
  parseHost,
  parseKey,
  parsePort,
  parseSize,
  parseSwitch,
  parseText,
  parseTimer,
  positive,
} from "../cli/values.js";
import { parseRedisAddress, type RedisAddress } from "./redis-address.js";

/** Everything that can be set about a hub: the one table behind flags, environment, file and help. */
export const serveOptions = {
  host: {
    value: "ADDRESS",
    default: "127.0.0.1",
    parse: parseHost,
    help: "Address to listen on. Off loopback, --api-key or --allow-anonymous is needed.",
  },
  port: { value: "PORT", default: "4000", parse: parsePort, help: "Port to listen on; 0 takes any that is free." },
  store: {
    value: "memory|disk:PATH|redis://HOST",
    default: "disk:./millrace-data",
    secret: /@/, // the address of a Redis may hold its password
    parse: parseStore,
    help: "Where events are kept: memory, disk:PATH for a folder that survives restarts, or a Redis that any number of hubs share: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// over TLS, redis+sentinel://HOST,HOST/NAME. A password is better given by environment or file: other users of a machine see flags.",
  },
  "redis-prefix": {
    value: "TEXT",
    default: "millrace:",
    parse: parsePrefix,
    help: "With what all keys and Pub/Sub channels in Redis begin. Hubs with the same one share their events.",
  },
  "redis-wait": {
    value: "N",
    default: "0",
    parse: parseCount,
    help: "So many replicas of Redis have to confirm an event before it is acknowledged.",
  },
  durability: {
    value: "process|power",
    default: "process",
    parse: oneOf("process", "power"),
    help: "What an acknowledged event survives: process (the hub killed), or power (it is flushed to the disk first; slower).",
  },
  "api-key": {
    value: "KEY",
    default: undefined,
    many: true,
    secret: true,
    parse: parseKey,
    help: "Key that publishers send as Authorization: Bearer KEY. Once set, publishing needs it everywhere. Better given by environment or file: other users of a machine see flags.",
  },
  "allow-anonymous": {
    value: undefined,
    default: undefined,
    parse: parseSwitch,
    help: "Lets anyone subscribe off loopback; and publish, where no --api-key is set.",
  },
  "allowed-host": {
    value: "NAME",
    default: undefined,
    many: true,
    parse: (name: string) => parseText(name).toLowerCase(),
    help: "A name that requests may have in Host, for a hub on loopback behind a proxy.",
  },
  "cors-origin": {
    value: "ORIGIN",
    default: undefined,
    many: true,
    parse: parseOrigin,
    help: "An origin whose pages may use the hub, such as https://app.example.com; * for any, without credentials.",
  },
  "trusted-proxy": {
    value: "ADDRESS",
    default: undefined,
    many: true,
    parse: parseAddress,
    help: "Address of a proxy whose X-Forwarded-For is believed.",
  },
  compression: {
    value: undefined,
    default: undefined,
    parse: parseSwitch,
    help: "Compresses streams (gzip) for clients that accept it. Not for secrets in one stream with data that others choose: see docs/compression.md.",
  },
  "tls-cert": {
    value: "FILE",
    default: undefined,
    parse: parseText,
    help: "Certificate chain (PEM). With --tls-key the hub speaks HTTPS.",
  },
  "tls-key": { value: "FILE", default: undefined, parse: parseText, help: "Private key (PEM)." },
  "retention-events": {
    value: "N",
    default: "100000",
    off: "off",
    parse: orOff(positive(parseCount)),
    help: "Events kept per channel.",
  },
  "retention-age": {
    value: "TIME",
    default: "24h",
    off: "off",
    parse: orOff(positive(parseDuration)),
    help: "How long events are kept.",
  },
  "retention-channel-bytes": {
    value: "SIZE",
    default: "64MiB",
    off: "off",
    parse: orOff(positive(parseSize)),
    help: "Bytes kept per channel.",
  },
  "retention-total-bytes": {
    value: "SIZE",
    default: "1GiB",
    off: "off",
    parse: orOff(positive(parseSize)),
    help: "Bytes kept in all.",
  },
  "idempotency-age": {
    value: "TIME",
    default: "10m",
    parse: positive(parseDuration),
    help: "How long an Idempotency-Key is remembered.",
  },
  "body-limit": {
    value: "SIZE",
    default: "1MiB",
    parse: positive(parseSize),
    help: "Largest body of a request, so also of an event.",
  },
  heartbeat: {
    value: "TIME",
    default: "15s",
    off: "off",
    parse: orOff(positive(parseTimer)),
    help: "How often an idle stream is written to, so that proxies keep it open and dead peers are found.",
  },
  "heartbeat-form": {
    value: "comment|event",
    default: "comment",
    parse: oneOf("comment", "event"),
    help: "A heartbeat is a comment, or an event named heartbeat that page code sees.",
  },
  retry: {
    value: "TIME",
    default: "2s",
    parse: parseDuration,
    help: "How long clients wait before they reconnect; each is told a time between this and twice this.",
  },
  "max-connections": {
    value: "N",
    default: "off",
    off: "off",
    parse: orOff(positive(parseCount)),
    help: "Streams in all; further ones are answered 503.",
  },
  "max-connections-per-ip": {
    value: "N",
    default: "off",
    off: "off",
    parse: orOff(positive(parseCount)),
    help: "Streams of one address.",
  },
  "max-channels": {
    value: "N",
    default: "1000",
    parse: positive(parseCount),
    help: "Channels that the address of one subscriber may name.",
  },
  "publish-rate": {
    value: "N",
    default: "off",
    off: "off",
    parse: orOff(positive(parseCount)),
    help: "Events a second that one publisher may send; more are answered 429.",
  },
  "stream-rate": {
    value: "N",
    default: "off",
    off: "off",
    parse: orOff(positive(parseCount)),
    help: "Events a second that one stream is sent at most; it reads the rest later.",
  },
  "max-age": {
    value: "TIME",
    default: "off",
    off: "off",
    parse: orOff(positive(parseDuration)),
    help: "A stream is ended after this time, give or take a tenth, and its client comes back.",
  },
  "stall-timeout": {
    value: "TIME",
    default: "off",
    off: "off",
    parse: orOff(positive(parseDuration)),
    help: "A stream whose client takes nothing for so long is cut.",
  },
  drain: {
    value: "TIME",
    default: "3s",
    parse: parseTimer,
    help: "How long clients are given to leave when the hub is stopped.",
  },
  "log-level": {
    value: "debug|info|warn|error|silent",
    default: "info",
    off: "silent",
    parse: oneOf("debug", "info", "warn", "error", "silent"),
    help: "debug also tells of every connection and every event.",
  },
  "log-format": {
    value: "text|json",
    default: "text",
    parse: oneOf("text", "json"),
    help: "How log lines are written, on standard error.",
  },
  config: configOption,
} as const;

function parsePrefix(value: string): string {
  if (!/^[\x21-\x7e]{1,100}$/.test(value)) throw new Error("1 to 100 visible ASCII characters");
  return value;
}

/** Where events are kept. */
type Store = { readonly kind: "memory" } | { readonly kind: "disk"; readonly path: string } | RedisAddress;

/** An origin is compared as browsers write it: lower case, no slash at its end. */
function parseOrigin(value: string): string {
  if (value === "*") return value;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || url.origin === "null" || url.href !== `${url.origin}/`) {
    throw new Error("an origin such as https://app.example.com, or *");
  }
  return url.origin;
}

function parseAddress(value: string): string {
  if (net.isIP(value) === 0) throw new Error("an IP address");
  return value;
}

function parseStore(value: string): Store {
  if (value === "memory") return { kind: "memory" };
  if (/^redis/.test(value)) return parseRedisAddress(value);
  const path = /^disk:(.+)$/s.exec(value)?.[1];
  if (path === undefined) throw new Error("memory, disk:PATH or redis://HOST");
  return { kind: "disk", path };
}
