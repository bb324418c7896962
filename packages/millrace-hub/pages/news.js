// News as it comes: the last fifty items, of all kinds or of one.

import { element, onceAFrame, setText } from "./dom.js";
import { counted, cut, localTime } from "./format.js";
import { openPage } from "./frame.js";
import { toneOf } from "./visitor.js";

const KEPT = 50;
const FRESH_MS = 20_000;

const byId = (id) => document.getElementById(id);
/** Oldest first, each with its row. */
const items = [];
let wanted = "";

const page = openPage({ channels: ["demo/news"], rewind: KEPT });

page.on("item", ({ id, data }) => {
  const { type, title, timestamp } = data ?? {};
  if (typeof title !== "string") return; // anyone may publish here
  items.push({ id, type: cut(`${type ?? "other"}`, 16), title: cut(title, 200), timestamp });
  redraw();
});

const redraw = onceAFrame(() => {
  for (const { row } of items.splice(0, Math.max(0, items.length - KEPT))) row?.remove();
  for (const item of items) {
    if (!item.row) {
      item.row = rowOf(item);
      byId("items").prepend(item.row);
    }
    item.row.hidden = wanted !== "" && item.type !== wanted;
  }
  const shown = items.filter(({ row }) => !row.hidden).length;
  const of = wanted === "" ? "" : ` of ${items.length}`;
  setText(byId("shown"), `${counted(shown, "item", "items")}${of}`);
  byId("empty").hidden = shown > 0;
  if (items.length > 0) setText(byId("empty"), "Nothing of this kind yet.");
});

function rowOf({ type, title, timestamp }) {
  const time = element("time", "", localTime(timestamp));
  const row = element("li", "", time, element("span", `type ${toneOf(type)}`, type), element("p", "", title));
  if (Date.now() - timestamp < FRESH_MS) row.classList.add("fresh");
  return row;
}

byId("types").addEventListener("change", ({ target }) => {
  wanted = target.value;
  redraw();
});
// A browser may bring the choice back as it was before a reload.
wanted = document.querySelector("#types input:checked").value;
