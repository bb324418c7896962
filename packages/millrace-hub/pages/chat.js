// A room where everyone can talk: a message is an event on one channel, whoever publishes it.

import { element, onceAFrame } from "./dom.js";
import { cut, localTime } from "./format.js";
import { openPage } from "./frame.js";
import { nameField, nameOf, toneOf } from "./visitor.js";

const CHANNEL = "demo/chat";
const KEPT = 50;
const LONGEST = 500;

const byId = (id) => document.getElementById(id);
const list = byId("messages");
const text = byId("text");
const name = nameField(byId("name"));
/** This page's mark on its own messages: names may be equal. */
const self = crypto.getRandomValues(new Uint32Array(2)).join("-");
const waiting = [];

const page = openPage({ channels: [CHANNEL], rewind: KEPT });

page.on("message", ({ data }) => {
  if (typeof data?.text !== "string" || data.text.trim() === "") return; // anyone may publish here
  waiting.push(data);
  if (waiting.length > KEPT) waiting.shift();
  redraw();
});

const redraw = onceAFrame(() => {
  // Who reads further up is not moved.
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.append(...waiting.splice(0).map(rowOf));
  while (list.children.length > KEPT) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
});

function rowOf({ name: given, text: said, simulated, timestamp, from }) {
  const who = nameOf(given);
  const face = element("span", "face", [...who][0].toUpperCase());
  face.setAttribute("aria-hidden", "true");
  const head = element("p", "who", element("b", "", who));
  if (simulated === true) head.append(" ", element("span", "mark", "simulated"));
  if (Number.isFinite(timestamp)) head.append(" ", element("time", "", localTime(timestamp)));
  const row = element("li", toneOf(who), face, element("div", "", head, element("p", "text", cut(said, LONGEST))));
  row.classList.toggle("own", from === self);
  return row;
}

/** The message that is being sent, as long as it is not sure that the hub has it: tried again it is not doubled. */
let sending;

byId("say").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const said = text.value.trim();
  if (said === "") return;
  const data = { name: name(), text: said, timestamp: Date.now(), from: self };
  if (sending?.data.text !== said || sending.data.name !== data.name)
    sending = { data, key: `chat/${self}/${Date.now()}` };
  byId("send").disabled = true;
  try {
    await page.publish({ channel: CHANNEL, event: "message", data: sending.data }, { idempotencyKey: sending.key });
    sending = undefined;
    if (text.value.trim() === said) text.value = "";
    byId("problem").textContent = "";
  } catch ({ status, message }) {
    const why = status === undefined ? "the hub does not answer. Try again in a moment" : message;
    byId("problem").textContent = `Not sent: ${why}.`;
  }
  byId("send").disabled = false;
  text.focus();
});

byId("aloud").addEventListener("change", ({ target }) =>
  list.setAttribute("aria-live", target.checked ? "polite" : "off"),
);
