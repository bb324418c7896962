// Line charts on a canvas. They are drawn when figures arrive, not 60 times a second: a page that shows the CPU should
// not be what loads it.

const ROOM = { top: 14, right: 1, bottom: 3, left: 0 };
/** Longer without a sample is a hole, and drawn as one. */
const HOLE_MS = 12_000;

let palette;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  palette = undefined;
});

function colours() {
  if (palette === undefined) {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(`--${name}`).trim();
    palette = {
      rule: read("rule"),
      muted: read("muted"),
      ink: read("ink"),
      first: read("water"),
      second: read("brass"),
    };
  }
  return palette;
}

/**
 * `series(sample)` gives a list of numbers (or null) for one sample, drawn by `lines[i]` (the last one for all beyond):
 * `{ colour: "first" | "second", width, alpha, fill }`. `least` is the smallest top of the scale, `most` a fixed one.
 */
export function createChart(canvas, { name, series, lines, format, least = 1, most, mill = false }) {
  const context = canvas.getContext("2d");
  const lineOf = (index) => lines[Math.min(index, lines.length - 1)];

  function plotWidth() {
    // The race's water ends at the wheel that it drives.
    const wheel = mill ? Math.min(170, canvas.clientWidth * 0.28) : 0;
    return Math.max(1, canvas.clientWidth - ROOM.left - ROOM.right - wheel);
  }

  return {
    canvas,

    /** The moment under a pointer at `x` pixels from the canvas's left edge. */
    timeAt(x, { from, to }) {
      return from + Math.min(1, Math.max(0, (x - ROOM.left) / plotWidth())) * (to - from);
    },

    draw(points, { from, to, at }) {
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (width === 0 || height === 0) return;
      const ratio = window.devicePixelRatio || 1;
      if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
      if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);

      // One point more on the left, so that the line comes in from the edge.
      const first = points.findIndex((point) => point.time >= from);
      const seen = (first < 0 ? [] : points.slice(Math.max(0, first - 1))).map(({ time, sample }) => ({
        time,
        values: series(sample).map((value) => (Number.isFinite(value) ? value : null)),
      }));
      const highest = seen.reduce((top, { values }) => Math.max(top, ...values.map((value) => value ?? 0)), least);
      const top = most ?? niceCeiling(highest);
      const bed = height - ROOM.bottom - (mill ? 16 : 0);
      const plot = {
        right: ROOM.left + plotWidth(),
        bed,
        x: (time) => ROOM.left + ((time - from) / (to - from)) * plotWidth(),
        y: (value) => bed - (value / top) * (bed - ROOM.top),
      };

      // The scale's top is round: "100 %", not "100.0 %".
      drawScale(context, plot, format(top).replace(/\.0+(?!\d)/, ""), mill ? 8 : 0);
      context.save();
      context.beginPath();
      context.rect(0, 0, mill ? width : plot.right + ROOM.right, height);
      context.clip();
      const count = seen.reduce((most, { values }) => Math.max(most, values.length), 0);
      // From behind: the first line is the one that matters, and lies on top.
      for (let index = count - 1; index >= 0; index--) {
        drawLine(context, plot, seen, index, lineOf(index), mill ? width : undefined);
      }
      context.restore();
      if (mill) drawAgo(context, Math.round((to - from) / 60_000), height);
      if (at !== undefined) drawCursor(context, plot, at);
      canvas.setAttribute("aria-label", describe(name, seen, format));
    },
  };
}

function drawScale(context, { right, bed }, label, indent) {
  const { rule, muted } = colours();
  context.strokeStyle = rule;
  context.lineWidth = 1;
  context.beginPath();
  for (const level of [bed, (bed + ROOM.top) / 2, ROOM.top]) {
    context.moveTo(ROOM.left, Math.round(level) + 0.5);
    context.lineTo(right, Math.round(level) + 0.5);
  }
  context.stroke();
  context.fillStyle = muted;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "bottom";
  context.fillText(label, ROOM.left + indent, ROOM.top - 1);
}

function drawAgo(context, minutes, height) {
  context.fillStyle = colours().ink;
  context.textBaseline = "alphabetic";
  context.fillText(`${minutes} min ago`, ROOM.left + 8, height - 6);
}

function drawLine(context, { x, y, right, bed }, seen, index, line, millEdge) {
  const colour = colours()[line.colour];
  context.strokeStyle = colour;
  context.lineWidth = line.width;
  context.lineJoin = "round";
  for (const run of unbroken(seen, index)) {
    const trace = () => {
      context.beginPath();
      run.forEach(({ time, value }, i) => {
        if (i === 0) context.moveTo(x(time), y(value));
        else context.lineTo(x(time), y(value));
      });
    };
    const last = run[run.length - 1];
    const atWheel = millEdge !== undefined && x(last.time) > right - 2;
    if (line.fill) {
      trace();
      if (atWheel) pourOverWheel(context, right, y(last.value), bed, millEdge);
      const floor = millEdge === undefined ? bed : context.canvas.clientHeight;
      context.lineTo(atWheel ? millEdge : x(last.time), floor);
      context.lineTo(x(run[0].time), floor);
      context.closePath();
      context.globalAlpha = line.fill;
      context.fillStyle = colour;
      context.fill();
    }
    trace();
    if (atWheel) pourOverWheel(context, right, y(last.value), bed, millEdge);
    context.globalAlpha = line.alpha ?? 1;
    context.stroke();
    context.globalAlpha = 1;
  }
}

/** Past the newest figure the water falls off to the tail race. */
function pourOverWheel(context, right, level, bed, edge) {
  const fall = Math.min(70, edge - right);
  context.bezierCurveTo(right + fall * 0.5, level, right + fall * 0.35, bed, right + fall, bed);
  context.lineTo(edge, bed);
}

function drawCursor(context, { x, bed }, at) {
  const across = Math.round(x(at)) + 0.5;
  context.strokeStyle = colours().ink;
  context.globalAlpha = 0.55;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(across, ROOM.top);
  context.lineTo(across, bed);
  context.stroke();
  context.globalAlpha = 1;
}

/** One series cut at holes: a line across minutes without figures would be an invention. */
function unbroken(seen, index) {
  const runs = [];
  let run = [];
  let before = Number.NaN;
  for (const { time, values } of seen) {
    const value = values[index] ?? null;
    if (value === null || time - before > HOLE_MS) {
      if (run.length > 0) runs.push(run);
      run = [];
    }
    if (value !== null) run.push({ time, value });
    before = time;
  }
  if (run.length > 0) runs.push(run);
  return runs;
}

/** The next of 1, 2, 5, 10, 20, 50 … */
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

function describe(name, seen, format) {
  const values = seen.map((point) => point.values[0]).filter((value) => value !== null && value !== undefined);
  if (values.length === 0) return `${name}: no figures yet`;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return `${name}: now ${format(values[values.length - 1])}, lowest ${format(low)}, highest ${format(high)} in the time shown`;
}
