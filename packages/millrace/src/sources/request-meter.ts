import { rounded } from "./rounded.js";

/** How an application answers, over one window of time. */
export interface RequestFigures {
  readonly requestsPerSecond: number;
  /** Requests that were answered with a status of 400 or more. */
  readonly errorsPerSecond: number;
  /** The share of such requests, 0 to 100 with one decimal; `null` when none was answered. */
  readonly errorPercent: number | null;
  /** Mean time to an answer; `null` when none was answered. */
  readonly responseMeanMs: number | null;
  /** The time that 99 of 100 answers took at most, exact to a tenth; `null` when none was answered. */
  readonly responseP99Ms: number | null;
}

/** Counts answers, in memory that does not grow. */
export interface RequestMeter {
  /** Counts one answer. It needs no `this`: pass it as it is, as `createHub({ onAnswer: meter.observe })`. */
  readonly observe: (answer: { readonly status: number; readonly durationMs: number }) => void;
  /**
   * Opens a window: a function that answers with the figures since it was called last; at first, since it was opened.
   * There may be any number of them, and they take nothing from each other.
   */
  readonly window: () => () => RequestFigures;
}

/** Classes of times: eight to an octave, so a bound is at most 9 % above what it stands for; 10 µs to 5 minutes. */
const perOctave = 8;
const leastMs = 0.01;
const classes = 25 * perOctave;

/**
 * Measures an application's requests.
 *
 *     const meter = requestMeter();
 *     const hub = createHub({ onAnswer: meter.observe });
 *     for await (const figures of systemFigures({ hub, http: meter })) …
 */
export function requestMeter(): RequestMeter {
  let requests = 0;
  let errors = 0;
  let totalMs = 0;
  const counts = new Float64Array(classes);

  const observe: RequestMeter["observe"] = ({ status, durationMs }) => {
    const ms = durationMs > 0 ? durationMs : 0; // one NaN would be in the sum for ever
    requests++;
    if (status >= 400) errors++;
    totalMs += ms;
    const at = Math.min(classes - 1, Math.max(0, Math.ceil(Math.log2(ms / leastMs) * perOctave)));
    counts[at] = (counts[at] ?? 0) + 1;
  };

  const window = () => {
    let last = { atMs: performance.now(), requests, errors, totalMs };
    const before = counts.slice();
    return () => {
      const since = last;
      last = { atMs: performance.now(), requests, errors, totalMs };
      const seconds = (last.atMs - since.atMs) / 1000;
      const answered = requests - since.requests;
      const failed = errors - since.errors;
      const perSecond = (count: number) => (count === 0 ? 0 : rounded(count / seconds, 2));
      const figures = {
        requestsPerSecond: perSecond(answered),
        errorsPerSecond: perSecond(failed),
        errorPercent: answered === 0 ? null : rounded((100 * failed) / answered, 1),
        responseMeanMs: answered === 0 ? null : rounded((totalMs - since.totalMs) / answered, 2),
        responseP99Ms: answered === 0 ? null : bound(before, counts, answered * 0.99),
      };
      before.set(counts);
      return figures;
    };
  };
  return { observe, window };
}

/** The upper bound of the class in which the count, from the shortest time on, reaches `wanted`. */
function bound(before: Float64Array, after: Float64Array, wanted: number): number {
  let at = 0;
  let reached = 0;
  for (; at < classes; at++) {
    reached += (after[at] ?? 0) - (before[at] ?? 0);
    if (reached >= wanted) break;
  }
  return rounded(leastMs * 2 ** (at / perOctave), 2);
}
