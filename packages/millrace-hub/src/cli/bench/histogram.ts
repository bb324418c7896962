/** Two neighbours differ by so much: what a percentile may be wrong by. */
const step = 1.01;
/** From a microsecond to a quarter of an hour. */
const places = Math.ceil(Math.log(1e9) / Math.log(step)) + 1;

/** How often a time occurred; in milliseconds, to one part in a hundred. Of plain numbers: it goes between threads. */
export interface Histogram {
  readonly counts: Uint32Array;
  maxMs: number;
}

export const createHistogram = (): Histogram => ({ counts: new Uint32Array(places), maxMs: 0 });

export function record(histogram: Histogram, ms: number): void {
  const place = ms <= 0.001 ? 0 : Math.min(places - 1, Math.round(Math.log(ms * 1000) / Math.log(step)));
  histogram.counts[place] = (histogram.counts[place] ?? 0) + 1;
  if (ms > histogram.maxMs) histogram.maxMs = ms;
}

export function add(sum: Histogram, other: Histogram): void {
  other.counts.forEach((count, place) => {
    sum.counts[place] = (sum.counts[place] ?? 0) + count;
  });
  sum.maxMs = Math.max(sum.maxMs, other.maxMs);
}

/** What a report says of times. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Undefined: nothing was recorded. */
export function timesOf({ counts, maxMs }: Histogram): Times | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const at = (share: number) => {
    let below = 0;
    const place = counts.findIndex((count) => {
      below += count;
      return below >= total * share;
    });
    return Math.min(maxMs, step ** place / 1000);
  };
  return { p50: at(0.5), p99: at(0.99), max: maxMs };
}
