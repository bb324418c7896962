/** A page that is not looked at draws no frames; then it waits this long. */
const hiddenMs = 100;

/** Calls before the next frame is drawn; where none is, soon. Events come in tasks of their own, frames once in some 16 ms. */
export function onFrame(call: () => void): void {
  const { requestAnimationFrame } = globalThis as { requestAnimationFrame?: (call: () => void) => unknown };
  let called = false;
  const once = () => {
    clearTimeout(timer);
    if (!called) call();
    called = true;
  };
  const timer = setTimeout(once, requestAnimationFrame ? hiddenMs : 0);
  requestAnimationFrame?.(once);
}
