// What the panels say and plot: each figure and each chart of the page, named as in its data-figure and data-chart.

import { createChart } from "./chart.js";
import { bytes, bytesPerSecond, count, counted, duration, load, milliseconds, percent, rate } from "./format.js";

const figures = {
  deliveries: (s) => rate(s.deliveriesPerSecond),
  published: (s) => rate(s.publishedPerSecond),
  hubConnections: (s) => counted(s.connections, "connection", "connections"),
  cpu: (s) => percent(s.cpu.total),
  memory: (s) => percent(usedPercent(s)),
  memoryOf: (s) => `${bytes(s.memory?.usedBytes)} of ${bytes(s.memory?.totalBytes)}`,
  process: (s) => bytes(s.memory?.processBytes),
  load1: (s) => load(s.load?.[0]),
  load5: (s) => load(s.load?.[1]),
  load15: (s) => load(s.load?.[2]),
  received: (s) => bytesPerSecond(s.network?.receivedBytesPerSecond),
  sent: (s) => bytesPerSecond(s.network?.sentBytesPerSecond),
  delay: (s) => milliseconds(s.eventLoopDelayMs?.mean),
  delayP99: (s) => milliseconds(s.eventLoopDelayMs?.p99),
  delayMax: (s) => milliseconds(s.eventLoopDelayMs?.max),
  connections: (s) => count(s.connections),
  uptime: (s) => duration(s.uptimeSeconds),
  requests: (s) => rate(s.requestsPerSecond),
  errors: (s) => rate(s.errorsPerSecond),
  response: (s) => milliseconds(s.responseMeanMs),
};

const FIRST = { colour: "first", width: 1.75, fill: 0.13 };
const SECOND = { colour: "second", width: 1.25 };
const CORE = { colour: "first", width: 1, alpha: 0.4 };
/** With more cores than this their lines tell nothing apart, and their bars have no room for text. */
const FEW_CORES = 8;

const charts = {
  deliveries: {
    name: "Deliveries per second",
    series: (s) => [s.deliveriesPerSecond],
    lines: [{ colour: "first", width: 2, fill: 0.22 }],
    format: rate,
    least: 5,
    mill: true,
  },
  cpu: {
    name: "CPU, mean of all cores",
    series: (s) => [s.cpu.total, ...(coresOf(s).length > FEW_CORES ? [] : coresOf(s))],
    lines: [FIRST, CORE],
    format: percent,
    most: 100,
  },
  memory: { name: "Memory in use", series: (s) => [usedPercent(s)], lines: [FIRST], format: percent, most: 100 },
  load: {
    name: "Load, mean of one minute",
    series: (s) => [s.load?.[0], s.load?.[1]],
    lines: [FIRST, SECOND],
    format: load,
  },
  network: {
    name: "Network, received",
    series: (s) => [s.network?.receivedBytesPerSecond, s.network?.sentBytesPerSecond],
    lines: [FIRST, SECOND],
    format: bytesPerSecond,
    least: 1000,
  },
  delay: {
    name: "Event-loop delay, mean",
    series: (s) => [s.eventLoopDelayMs?.mean, s.eventLoopDelayMs?.max],
    lines: [FIRST, SECOND],
    format: milliseconds,
  },
  connections: {
    name: "Connections",
    series: (s) => [s.connections],
    lines: [FIRST],
    format: count,
    least: 5,
  },
  requests: {
    name: "Requests per second",
    series: (s) => [s.requestsPerSecond, s.errorsPerSecond],
    lines: [FIRST, SECOND],
    format: rate,
    least: 5,
  },
};

export function createCharts() {
  return [...document.querySelectorAll("canvas[data-chart]")].map((canvas) =>
    createChart(canvas, charts[canvas.dataset.chart]),
  );
}

export function createFigures() {
  const places = [...document.querySelectorAll("[data-figure]")];
  const showCores = createCores(document.getElementById("cores"));
  return (sample) => {
    for (const place of places) {
      const text = figures[place.dataset.figure](sample);
      if (place.textContent !== text) place.textContent = text;
    }
    showCores(coresOf(sample));
  };
}

/** A bar per core. Many stand upright and close, and their text is only for screen readers. */
function createCores(list) {
  const bars = [];
  return (cores) => {
    if (bars.length !== cores.length) {
      list.replaceChildren();
      bars.length = 0;
      for (const [index] of cores.entries()) bars.push(addBar(list, index));
      list.classList.toggle("many", cores.length > FEW_CORES);
    }
    for (const [index, value] of cores.entries()) {
      const { bar, figure } = bars[index];
      bar.style.setProperty("--share", String(Math.min(1, Math.max(0, value / 100))));
      figure.textContent = percent(value);
    }
  };
}

function addBar(list, index) {
  const item = document.createElement("li");
  const [name, bar, figure] = ["name", "bar", "figure"].map((part) => {
    const span = document.createElement("span");
    span.className = part;
    return span;
  });
  name.textContent = `core ${index}`;
  bar.append(document.createElement("i"));
  item.append(name, bar, figure);
  list.append(item);
  return { bar, figure };
}

function coresOf({ cpu }) {
  return Array.isArray(cpu.cores) ? cpu.cores.filter(Number.isFinite).slice(0, 1024) : [];
}

function usedPercent({ memory }) {
  return (100 * memory?.usedBytes) / memory?.totalBytes;
}
