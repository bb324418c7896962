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
