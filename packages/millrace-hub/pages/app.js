// The hub's page: what arrives on the stream, drawn at most once a frame and not at all in a hidden tab.

import { showCommands } from "./commands.js";
import { createEventList } from "./events.js";
import { count, localTime } from "./format.js";
import { createHistory, isSample } from "./history.js";
import { showNavigation } from "./navigation.js";
import { createCharts, createFigures } from "./panels.js";
import { openStream } from "./stream.js";

const byId = (id) => document.getElementById(id);

const history = createHistory();
const charts = createCharts();
const showFigures = createFigures();
const events = createEventList(byId("events"), byId("events-empty"));
const turnWheel = createWheel(byId("wheel"));

let received = 0;
let updatedAt;
let windowMs = 2 * 60_000;
/** The moment that the pointer is at; undefined for now. */
let pointedAt;
let drawing = false;

function draw() {
  drawing = false;
  byId("received").textContent = count(received);
  if (updatedAt !== undefined) byId("updated").textContent = localTime(updatedAt);
  events.draw();

  const pointed = pointedAt === undefined ? undefined : history.at(pointedAt);
  const told = pointed ?? history.latest();
  if (told !== undefined) showFigures(told.sample);
  byId("moment").textContent = pointed === undefined ? "now" : `at ${localTime(pointed.time)}`;
  const view = { ...shownTime(), at: pointed?.time };
  for (const chart of charts) chart.draw(history.points, view);
}

function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

/** By the hub's clock: the newest sample is at the right edge, whatever the reader's clock says. */
function shownTime() {
  const to = history.latest()?.time ?? Date.now();
  return { from: to - windowMs, to };
}

openStream({
  onState(state) {
    byId("state").dataset.state = state;
    byId("state-text").textContent = state;
  },
  onHint(text) {
    byId("hint").textContent = text;
    byId("hint").hidden = text === "";
  },
  onEvent(envelope) {
    received += 1;
    updatedAt = Date.now();
    if (envelope.channel === "system" && Number.isFinite(envelope.time) && isSample(envelope.data))
      history.add(envelope.time, envelope.data);
    events.addEvent(envelope);
    turnWheel();
    redraw();
  },
  onNotice(name, data) {
    events.addNotice(name, data);
    redraw();
  },
});

/** One paddle for each event, but never faster than a wheel of this size would. */
function createWheel(wheel) {
  const PADDLE_DEGREES = 30;
  const FASTEST_MS = 80;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let degrees = 0;
  let turnedAt = 0;
  return () => {
    const now = performance.now();
    if (still.matches || now - turnedAt < FASTEST_MS) return;
    turnedAt = now;
    degrees += PADDLE_DEGREES;
    wheel.style.transform = `rotate(${degrees}deg)`;
  };
}

for (const chart of charts) {
  chart.canvas.addEventListener("pointermove", (pointer) => {
    pointedAt = chart.timeAt(pointer.offsetX, shownTime());
    redraw();
  });
  for (const type of ["pointerleave", "pointercancel"]) {
    chart.canvas.addEventListener(type, () => {
      pointedAt = undefined;
      redraw();
    });
  }
}

byId("windows").addEventListener("change", (change) => {
  windowMs = Number(change.target.value) * 60_000;
  redraw();
});
byId("with-system").addEventListener("change", (change) => {
  events.showSystem(change.target.checked);
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
const sizes = new ResizeObserver(redraw);
for (const chart of charts) sizes.observe(chart.canvas);

// A browser may bring the boxes back as they were before a reload.
events.showSystem(byId("with-system").checked);
windowMs = Number(document.querySelector("#windows input:checked").value) * 60_000;
showCommands();
showNavigation();
