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
