// What the pages draw with.

/** An element with a class and its content. Strings become text, whatever they hold: what is published is anyone's. */
export function element(tag, className = "", ...content) {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...content);
  return made;
}

/** A function that has `draw` called before the next frame, once however often it is called, and not in a hidden tab. */
export function onceAFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}

/** Changes a text, when it is another one: a screen reader says what changes. Answers whether it was. */
export function setText(place, text) {
  if (place.textContent === text) return false;
  place.textContent = text;
  return true;
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Shows for a moment, in a colour of the style sheet such as `good`, that something has changed. */
export function flash(place, colour) {
  if (!still.matches) place.animate([{ color: `var(--${colour})` }, {}], { duration: 900, easing: "ease-out" });
}
