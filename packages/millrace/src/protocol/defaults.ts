import { MillraceError } from "./errors.js";

/** The longest time a timer can wait, in milliseconds: a longer one would fire at once. */
export const maxTimerMs = 2 ** 31 - 1;

/**
 * Options with their defaults. One that is given as undefined is not given: `{ ...defaults, ...given }` would take it,
 * and turn a bound off that nobody meant to.
 */
export function withDefaults<T extends object>(
  defaults: T,
  given: { readonly [K in keyof T]?: T[K] | undefined } = {},
): T {
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(set) };
}

/** @throws MillraceError `invalid_option` unless the value is undefined or a number in the range */
export function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (value === undefined || (typeof value === "number" && value >= least && value <= most)) return;
  throw invalidOption(name, value, `it is a number ${least === 0 ? `from 0 to ${most}` : "greater than 0"}`);
}

export function invalidOption(name: string, value: unknown, right: string): MillraceError {
  const shown = typeof value === "number" ? value : JSON.stringify(value);
  return new MillraceError("invalid_option", `${name} is ${shown}: ${right}`);
}

/** What an option may be: what `typeof` says of it, or a list. */
export type Kind = "string" | "number" | "boolean" | "function" | "object" | "array";

/**
 * Types do not reach an application in JavaScript, and an option that is misspelt would be none.
 * @param kinds every option that is known
 * @throws MillraceError `invalid_option` for one that is not known, or of another kind
 */
export function checkOptionKinds(
  what: string,
  options: object,
  kinds: Readonly<Record<string, readonly Kind[]>>,
): void {
  for (const [name, value] of Object.entries(options)) {
    const allowed = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (!allowed) {
      throw new MillraceError(
        "invalid_option",
        `${what} has no option ${JSON.stringify(name)}: ${Object.keys(kinds).join(", ")}`,
      );
    }
    const kind = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
    if (value !== undefined && !allowed.includes(kind as Kind)) {
      throw new MillraceError("invalid_option", `${name} of ${what} is a ${allowed.join(" or a ")}: it is ${kind}`);
    }
  }
}

/** @throws MillraceError `invalid_option` */
export function checkFunction(what: string, value: unknown, example: string): void {
  if (typeof value === "function") return;
  throw new MillraceError("invalid_option", `${what} is given a function, such as ${example}: this is ${typeof value}`);
}
