/** A page that is not looked at draws no frames; then it waits this long. */
const hiddenMs = 100;

/** What is to be done for the next frame. All at once: where each asks for a frame of its own, React renders for each. */
export class NextFrame {
  readonly #calls: (() => void)[] = [];

  /** Calls before the next frame is drawn; where none is, soon. Events come in tasks of their own, frames once in some 16 ms. */
  run(call: () => void): void {
    if (this.#calls.push(call) > 1) return;
    const { requestAnimationFrame } = globalThis as { requestAnimationFrame?: (call: () => void) => unknown };
    const once = () => {
      clearTimeout(timer);
      for (const waiting of this.#calls.splice(0)) waiting();
    };
    const timer = setTimeout(once, requestAnimationFrame ? hiddenMs : 0);
    requestAnimationFrame?.(once);
  }
}
