// The samples of the last minutes, oldest first.

const KEPT_MS = 15 * 60_000;
const KEPT_SAMPLES = 4_000;

export function createHistory() {
  const points = [];

  return {
    /** `{ time, sample }`, time in milliseconds. */
    points,

    add(time, sample) {
      // A clock that was set back would draw lines backwards through the charts.
      while (points.length > 0 && points[points.length - 1].time >= time) points.pop();
      points.push({ time, sample });
      let old = Math.max(0, points.length - KEPT_SAMPLES);
      while (points[old].time < time - KEPT_MS) old += 1;
      // In larger lots: a shift at every sample moves the whole array each time.
      if (old >= 100) points.splice(0, old);
    },

    latest() {
      return points[points.length - 1];
    },

    /** The point nearest to a time, or undefined without any. */
    at(time) {
      let low = 0;
      let high = points.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (points[middle].time < time) low = middle + 1;
        else high = middle;
      }
      const [before, after] = [points[low - 1], points[low]];
      return before !== undefined && time - before.time < after.time - time ? before : after;
    },
  };
}

/** Whether a value published on `system` is a sample: anyone may publish there. */
export function isSample(value) {
  return typeof value === "object" && value !== null && typeof value.cpu === "object" && value.cpu !== null;
}
