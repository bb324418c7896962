import { maxTimerMs } from "../protocol/index.js";
import { ConnectionError } from "./connection-error.js";

/** Bites when it has not been fed for too long. */
type Watchdog = [
  /** Waits so long from now on, and from each feeding. `what` has not come then. `Infinity`: it sleeps. */
  watch: (ms: number, what?: string) => void,
  fed: () => void,
  /** Looks now: the timers of a hidden page are slow, and a machine that sleeps has none. */
  look: () => void,
];

export function createWatchdog(bite: (error: ConnectionError) => void): Watchdog {
  let waitMs = Infinity;
  let fedAtMs: number;
  let missing = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const fed = () => {
    fedAtMs = performance.now();
  };
  // One timer, set anew when it has run out: one for each chunk of a busy stream would cost more than the chunk.
  const look = () => {
    clearTimeout(timer);
    const leftMs = waitMs - (performance.now() - fedAtMs);
    if (leftMs <= 0) bite(new ConnectionError("timed_out", `${missing} for ${Math.round(waitMs)} ms`));
    else if (leftMs <= maxTimerMs) timer = setTimeout(look, leftMs);
  };
  return [
    (ms, what = "") => {
      waitMs = ms;
      missing = what;
      fed();
      look();
    },
    fed,
    look,
  ];
}
