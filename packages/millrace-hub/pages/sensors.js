// Devices: the latest reading of each, the line of its last ones, and whether it can be reached.

import { element, onceAFrame, setText } from "./dom.js";
import { count, degrees, duration, localTime, percent } from "./format.js";
import { openPage } from "./frame.js";
import { drawSpark } from "./spark.js";

const SHOWN = 45;
const LOW_BATTERY = 15;
const devices = new Map();
const byId = (id) => document.getElementById(id);

const page = openPage({ channels: ["demo/sensors"], rewind: 400 });

page.on("reading", ({ data }) => take(data));
page.on("status", ({ data }) => take(data));

function take(data) {
  if (!devices.has(data.device)) {
    devices.set(data.device, addDevice(data));
    byId("devices").append(...[...devices.keys()].sort().map((name) => devices.get(name).card));
  }
  const device = devices.get(data.device);
  if (data.online) device.temperatures.push(data.temperature);
  if (device.temperatures.length > SHOWN) device.temperatures.shift();
  device.data = data;
  redraw();
}

const redraw = onceAFrame(() => {
  for (const device of devices.values()) draw(device);
  const all = [...devices.values()].map(({ data }) => data);
  const away = all.filter(({ online }) => !online);
  const [lowest] = all.toSorted((one, other) => one.battery - other.battery);
  if (!lowest) return;
  setText(byId("online"), `${count(all.length - away.length)} of ${count(all.length)}`);
  setText(byId("offline"), away.map(({ device }) => device).join(", ") || "none");
  setText(byId("lowest"), `${percent(lowest.battery)}, ${lowest.device}`);
  setText(byId("updated"), localTime(Math.max(...all.map(({ time }) => time))));
});

function addDevice({ device, place }) {
  const [state, temperature, humidity, battery] = ["state", "big", "", ""].map((name) => element("p", name));
  const canvas = element("canvas");
  canvas.setAttribute("aria-hidden", "true");
  const level = element("i");
  const card = element(
    "li",
    "panel device",
    element("div", "name", element("h2", "", device), element("span", "place", place)),
    state,
    temperature,
    canvas,
    humidity,
    battery,
    element("span", "battery", level),
  );
  return { card, state, temperature, humidity, battery, level, canvas, temperatures: [], data: undefined };
}

function draw({ card, state, temperature, humidity, battery, level, canvas, temperatures, data }) {
  const { online } = data;
  card.classList.toggle("away", !online);
  state.dataset.state = online ? "live" : "reconnecting";
  setText(state, online ? "online" : `offline ${duration(Math.max(0, Date.now() - data.time) / 1000)}`);
  setText(temperature, degrees(data.temperature));
  setText(humidity, `humidity ${count(data.humidity)} %`);
  setText(battery, `battery ${percent(data.battery)}`);
  battery.classList.toggle("bad", data.battery < LOW_BATTERY);
  level.classList.toggle("low", data.battery < LOW_BATTERY);
  level.style.setProperty("--share", String(data.battery / 100));
  drawSpark(canvas, temperatures, online ? "water" : "muted");
}

setInterval(redraw, 1000); // how long a device has been away
new ResizeObserver(redraw).observe(document.querySelector("main"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
