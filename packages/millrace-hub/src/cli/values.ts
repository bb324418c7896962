/** Reads the values of options as people write them. Each throws an Error that says what would be right. */

export type Parse<T> = (text: string) => T;

const durations: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
/** What a placeholder in the help stands for, where its unit is part of the value. */
export const units: Readonly<Record<string, string>> = {
  TIME: "a number with one of ms, s, m, h, d, such as 500ms or 24h",
  SIZE: "a number with one of B, KiB, MiB, GiB, such as 64MiB",
};

export function parseText(text: string): string {
  if (text === "") throw new Error("a text");
  return text;
}

export const parseSwitch: Parse<boolean> = (text) => oneOf("true", "false")(text) === "true";

export function oneOf<T extends string>(...values: readonly T[]): Parse<T> {
  return (text) => {
    const known = values.find((value) => value === text);
    if (known === undefined) throw new Error(`one of ${values.join(", ")}`);
    return known;
  };
}

/** `15s`, `500ms`, `24h`: milliseconds. */
export const parseDuration: Parse<number> = (text) =>
  quantity(text, durations, "a time such as 500ms, 15s, 10m or 24h");

/** A duration that a timer counts down: Node fires one of more than 2^31 ms at once. */
export function parseTimer(text: string): number {
  const ms = parseDuration(text);
  if (ms > 24 * 86_400_000) throw new Error("a time of at most 24d");
  return ms;
}

/** `64MiB`, `1GiB`: bytes. */
export const parseSize: Parse<number> = (text) =>
  Math.floor(quantity(text, sizes, "a size such as 512KiB, 64MiB or 1GiB"));

/** A whole number, 0 or more. */
export function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error("a whole number");
  return Number(text);
}

/** The address that clients shall reach: http or https, without a slash at its end. */
export function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username || url.password) {
    throw new Error("an address such as http://127.0.0.1:4000, without a user or a password");
  }
  return url.href.replace(/\/+$/, "");
}

/** An address or a name to listen on; an IPv6 address also in brackets, as addresses of pages have it. */
export const parseHost: Parse<string> = (text) =>
  parseText(text)
    .replace(/^\[(.+)\]$/, "$1")
    .toLowerCase();

export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Infinity;
  if (port > 65_535) throw new Error("a port from 0 to 65535");
  return port;
}

/** What a request can carry as `Authorization: Bearer …`. No comma: whoever writes one may mean a list of keys. */
export function parseKey(text: string): string {
  if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(text)) {
    throw new Error("of visible ASCII characters, without blanks and commas");
  }
  return text;
}

/** More than zero, where zero would mean that nothing goes. */
export const positive =
  (parse: Parse<number>): Parse<number> =>
  (text) => {
    const number = parse(text);
    if (number <= 0) throw new Error("more than 0");
    return number;
  };

/** `off`: Infinity. */
export const orOff =
  (parse: Parse<number>): Parse<number> =>
  (text) => {
    if (text === "off") return Infinity;
    try {
      return parse(text);
    } catch (error) {
      throw new Error(`${(error as Error).message}, or off`);
    }
  };

function quantity(text: string, factors: Readonly<Record<string, number>>, right: string): number {
  const [, number, unit = ""] = /^(\d{1,15}(?:\.\d{1,15})?)([A-Za-z]+)$/.exec(text) ?? [];
  const factor = Object.hasOwn(factors, unit) ? factors[unit] : undefined;
  if (factor === undefined) throw new Error(right);
  return Number(number) * factor;
}
