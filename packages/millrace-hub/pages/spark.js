// A line without a scale, as wide as its canvas, from its lowest value to its highest: what a figure did lately.

const ROOM = 3;

/** @param name the custom property of style.css whose colour it has, such as `good` */
export function drawSpark(canvas, values, name = "water") {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (width === 0 || height === 0) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  if (values.length < 2) return;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (at) => ROOM + (at / (values.length - 1)) * (width - 2 * ROOM);
  const y = (value) => height - ROOM - ((value - low) / (high - low || 1)) * (height - 2 * ROOM);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.strokeStyle = getComputedStyle(canvas).getPropertyValue(`--${name}`).trim();
  context.fillStyle = context.strokeStyle;
  context.lineWidth = 1.75;
  context.lineJoin = "round";
  context.beginPath();
  for (const [at, value] of values.entries()) context.lineTo(x(at), y(value));
  context.stroke();
  context.lineTo(x(values.length - 1), height);
  context.lineTo(x(0), height);
  context.globalAlpha = 0.1;
  context.fill();
  context.globalAlpha = 1;
  context.beginPath();
  context.arc(x(values.length - 1), y(values[values.length - 1]), 2.5, 0, 2 * Math.PI);
  context.fill();
}
