// A stock ticker: the latest price of each symbol, and the line of its last ones.

import { element, flash, onceAFrame, setText } from "./dom.js";
import { money, signedPercent } from "./format.js";
import { openPage } from "./frame.js";
import { drawSpark } from "./spark.js";

const SHOWN = 90;
const names = {
  MILL: "Millstone & Sons",
  WEIR: "Weir Water",
  GRST: "Grist Foods",
  OAKW: "Oakwheel Engineering",
  BRSS: "Brass Fittings",
};
const stocks = new Map();

const page = openPage({ channels: ["demo/stocks"], rewind: SHOWN * 5 });

page.on("price", ({ data: { symbol, price, open } }) => {
  if (!stocks.has(symbol)) stocks.set(symbol, addRow(symbol));
  const stock = stocks.get(symbol);
  stock.open = open;
  stock.prices.push(price);
  if (stock.prices.length > SHOWN) stock.prices.shift();
  redraw();
});

const redraw = onceAFrame(() => {
  for (const stock of stocks.values()) drawRow(stock);
});

function addRow(symbol) {
  const row = element("tr");
  const company = element("th", "", element("b", "", symbol), " ", element("span", "", names[symbol] ?? ""));
  company.scope = "row";
  const canvas = element("canvas");
  canvas.setAttribute("aria-hidden", "true");
  const [range, price, change] = ["range", "price", "change"].map((name) => element("td", name));
  row.append(company, element("td", "line", canvas), range, price, change);
  document.getElementById("stocks").append(row);
  return { prices: [], open: 0, canvas, range, price, change };
}

function drawRow({ prices, open, canvas, range, price, change }) {
  const now = prices.at(-1);
  const before = prices.at(-2);
  const up = now >= open;
  if (setText(price, money(now))) flash(price, now > before ? "good" : "bad");
  setText(change, signedPercent((100 * (now - open)) / open));
  change.className = `change ${up ? "good" : "bad"}`;
  setText(range, `${money(Math.min(...prices))} – ${money(Math.max(...prices))}`);
  drawSpark(canvas, prices, up ? "good" : "bad");
}

new ResizeObserver(redraw).observe(document.querySelector("main"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
