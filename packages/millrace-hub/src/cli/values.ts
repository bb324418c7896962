/** Reads the values of options as people write them. Each throws an Error that says what would be right. */

const durations: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** `15s`, `500ms`, `24h`: milliseconds. `off`: Infinity. */
export function parseDuration(text: string): number {
  return quantity(text, durations, "a time such as 500ms, 15s, 10m or 24h");
}

/** `64MiB`, `1GiB`: bytes. `off`: Infinity. */
export function parseSize(text: string): number {
  return quantity(text, sizes, "a size such as 512KiB, 64MiB or 1GiB");
}

/** A whole number, 0 or more. `off`: Infinity. */
export function parseCount(text: string): number {
  if (text === "off") return Infinity;
  if (!/^\d{1,15}$/.test(text)) throw new Error("a whole number");
  return Number(text);
}

/** The address that clients shall reach: http or https, without a path. */
export function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error("an address such as http://127.0.0.1:4000");
  return url.href.replace(/\/$/, "");
}

export function parsePort(text: string): number {
  const port = parseCount(text);
  if (port > 65_535) throw new Error("a port from 0 to 65535");
  return port;
}

function quantity(text: string, units: Readonly<Record<string, number>>, right: string): number {
  if (text === "off") return Infinity;
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text);
  const unit = match?.[2] === undefined ? undefined : units[match[2]];
  if (!match || unit === undefined) throw new Error(right);
  return Number(match[1]) * unit;
}
