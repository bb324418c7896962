import { isHidden } from "../page.js";

/** How long the leader may be silent before it is asked for a word, in a tab that is looked at and in one that is not. */
const askMs = 2000;
const hiddenAskMs = 20_000;
/** How long it may take to answer. A random part is added, so that not all tabs take its place at once. */
const patienceMs = 3000;
/** Timers of a page that slept come late, and before what was said to it meanwhile. */
const lateMs = 1000;

/** Finds out whether the leader lives: a frozen page holds its locks, and says nothing. */
export interface Pulse {
  /** The leader has said something. */
  heard(): void;
  /** Looks now: the page is looked at again. */
  look(): void;
  stop(): void;
}

export function createPulse(ask: () => void, onDead: () => void): Pulse {
  let heardAtMs = performance.now();
  let askedAtMs: number | undefined;
  let dueAtMs = 0;
  let timer: ReturnType<typeof setTimeout>;

  function wait(ms: number): void {
    clearTimeout(timer);
    dueAtMs = performance.now() + ms;
    timer = setTimeout(beat, ms);
  }

  function beat(): void {
    const nowMs = performance.now();
    const isLate = nowMs - dueAtMs > lateMs;
    if (askedAtMs !== undefined && !isLate && nowMs - askedAtMs >= patienceMs) {
      heardAtMs = nowMs;
      askedAtMs = undefined;
      onDead();
    } else if ((askedAtMs !== undefined && isLate) || nowMs - heardAtMs >= askMs) {
      askedAtMs = nowMs;
      ask();
      wait(patienceMs + Math.random() * 1000);
      return;
    }
    wait(isHidden() ? hiddenAskMs : askMs);
  }

  wait(askMs);
  return {
    heard() {
      heardAtMs = performance.now();
      askedAtMs = undefined;
    },
    look() {
      askedAtMs = undefined;
      heardAtMs = -askMs;
      wait(0);
    },
    stop: () => clearTimeout(timer),
  };
}
