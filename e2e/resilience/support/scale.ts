import { mulberry } from "../../../packages/millrace/test/mulberry.js";

/** The tests have a short form, for every run, and a long one with the figures that are promised. */
export const long = (process.env.MILLRACE_LONG ?? "") !== "" && process.env.MILLRACE_LONG !== "0";

export const scaled = <T>(figures: { readonly short: T; readonly long: T }): T => (long ? figures.long : figures.short);

/** A sequence of numbers from 0 to 1, the same for the same seed. */
export type Random = () => number;

/** Prints its seed; MILLRACE_SEED repeats a run. */
export function seededRandom(what: string): Random {
  const given = process.env.MILLRACE_SEED;
  const seed = given ? Number(given) >>> 0 : Math.floor(Math.random() * 2 ** 32);
  console.log(`${what}: MILLRACE_SEED=${seed}`);
  return mulberry(seed);
}

export const between = (random: Random, low: number, high: number): number => low + random() * (high - low);

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}
