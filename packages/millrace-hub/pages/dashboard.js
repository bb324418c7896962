// A dashboard: each event holds all figures, the charts what the last two minutes brought.

import { createChart } from "./chart.js";
import { element, onceAFrame, setText } from "./dom.js";
import { count, euros, localTime, percent, rate } from "./format.js";
import { openPage } from "./frame.js";
import { createHistory } from "./history.js";

const SHOWN_MS = 2 * 60_000;

const figures = {
  visitors: (s) => count(s.visitors),
  updated: (s) => localTime(s.time),
  views: (s) => rate(s.viewsPerSecond),
  viewsToday: (s) => count(sum(s.pages)),
  orders: (s) => rate(s.ordersPerMinute),
  ordersToday: (s) => count(s.total.orders),
  conversion: (s) => percent(s.conversionPercent),
  conversionToday: (s) => percent((100 * s.total.orders) / s.total.visits),
  revenue: (s) => euros(s.revenuePerMinute),
  revenueToday: (s) => euros(s.total.revenue),
};

const lines = [{ colour: "first", width: 1.75, fill: 0.13 }];
const charts = {
  visitors: { name: "Visitors", series: (s) => [s.visitors], format: count, least: 100 },
  views: { name: "Views per second", series: (s) => [s.viewsPerSecond], format: rate, least: 5 },
  orders: { name: "Orders per minute", series: (s) => [s.ordersPerMinute], format: rate, least: 5 },
  conversion: { name: "Conversion", series: (s) => [s.conversionPercent], format: percent, least: 2 },
  revenue: { name: "Revenue per minute", series: (s) => [s.revenuePerMinute], format: euros, least: 100 },
};

const history = createHistory();
const places = [...document.querySelectorAll("[data-figure]")];
const drawn = [...document.querySelectorAll("canvas[data-chart]")].map((canvas) =>
  createChart(canvas, { lines, ...charts[canvas.dataset.chart] }),
);
const showFrom = createBars("from", (value, all) => percent((100 * value) / all));
const showPages = createBars("pages", count);

const page = openPage({ channels: ["demo/dashboard"], rewind: SHOWN_MS / 1000 });

page.on("figures", ({ data }) => {
  history.add(data.time, data);
  redraw();
});

const redraw = onceAFrame(() => {
  const latest = history.latest();
  if (!latest) return;
  for (const place of places) setText(place, figures[place.dataset.figure](latest.sample));
  for (const chart of drawn) chart.draw(history.points, { from: latest.time - SHOWN_MS, to: latest.time });
  showFrom(latest.sample.from);
  showPages(latest.sample.pages);
});

/** A bar for each name, the longest for the highest value. */
function createBars(id, format) {
  const bars = new Map();
  return (values) => {
    const all = sum(values);
    const highest = Math.max(...Object.values(values));
    for (const [name, value] of Object.entries(values)) {
      if (!bars.has(name)) bars.set(name, addBar(id, name));
      const { bar, figure } = bars.get(name);
      bar.style.setProperty("--share", String(value / highest));
      setText(figure, format(value, all));
    }
  };
}

function addBar(id, name) {
  const bar = element("i");
  const figure = element("b");
  document.getElementById(id).append(element("li", "", element("span", "", name), element("span", "bar", bar), figure));
  return { bar, figure };
}

function sum(values) {
  return Object.values(values).reduce((total, value) => total + value, 0);
}

new ResizeObserver(redraw).observe(document.querySelector("main"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
