// Notifications: toasts that go by themselves, alerts that stay, and the last fifty of all.

import { element, setText } from "./dom.js";
import { cut, localTime } from "./format.js";
import { openPage } from "./frame.js";

const CHANNEL = "demo/notifications";
const KEPT = 50;
const TOASTS = 4;
const TOAST_MS = 6_000;
const ALERTS = 5;
/** What comes so soon after the page was opened has been there before: it is listed, and not shown as if it were new. */
const OPENING_MS = 1_000;

/** How each kind is marked, beside its colour. What the page does not know it shows as `info`. */
const signs = { success: "✓", info: "i", warning: "!", error: "×", social: "♥" };

const byId = (id) => document.getElementById(id);
let connection;
let isOpening = true;

const page = openPage({ channels: [CHANNEL], rewind: KEPT });
page.on("open", (opened) => {
  connection = opened.connection;
  setTimeout(() => {
    isOpening = false;
  }, OPENING_MS);
});

page.on("notification", ({ data, channel }) => {
  if (typeof data?.message !== "string") return; // anyone may publish here
  const notification = {
    kind: Object.hasOwn(signs, data.type) ? data.type : "info",
    message: cut(data.message, 200),
    timestamp: data.timestamp,
    simulated: data.simulated === true,
    personal: channel.startsWith("@"),
  };
  list(notification);
  if (isOpening) return;
  if (notification.kind === "error") alertOf(notification);
  else if (!(notification.simulated && byId("quiet").checked)) toast(notification);
});

function card({ kind, message, simulated, personal, timestamp }) {
  const sign = element("span", "sign", signs[kind]);
  sign.setAttribute("aria-hidden", "true");
  const to = personal ? " · to you alone" : "";
  const from = simulated ? " · simulated" : "";
  return [sign, element("p", "", message), element("p", "sub", `${kind} · ${localTime(timestamp)}${from}${to}`)];
}

function list(notification) {
  byId("past").prepend(element("li", notification.kind, ...card(notification)));
  byId("empty").hidden = true;
  while (byId("past").children.length > KEPT) byId("past").lastElementChild.remove();
}

/** It goes after a while, but not from under the pointer, nor while it has the focus. */
function toast(notification) {
  const shown = element("div", `notice ${notification.kind}`, ...card(notification));
  shown.append(dismissButton(shown, notification.message));
  byId("toasts").append(shown);
  if (byId("toasts").children.length > TOASTS) byId("toasts").firstElementChild.remove();
  // A simulated one each four seconds would be a chatter for who listens to a screen reader.
  if (!notification.simulated) setText(byId("said"), `${notification.kind}: ${notification.message}`);
  const leave = () => (shown.matches(":hover, :focus-within") ? setTimeout(leave, 1_000) : shown.remove());
  setTimeout(leave, TOAST_MS);
}

/** It stays until it is dismissed. The same again is counted on it: an open page must not fill up over night. */
function alertOf(notification) {
  const { message } = notification;
  const alerts = byId("alerts");
  const same = [...alerts.children].find(({ dataset }) => dataset.message === message);
  const times = Number(same?.dataset.times ?? 0) + 1;
  const shown = element("div", "notice error", ...card(notification));
  shown.setAttribute("role", "alert");
  Object.assign(shown.dataset, { message, times });
  if (times > 1) shown.querySelector(".sub").append(` · ${times} times`);
  shown.append(dismissButton(shown, message));
  same?.remove();
  alerts.prepend(shown);
  while (alerts.children.length > ALERTS) alerts.lastElementChild.remove();
}

function dismissButton(shown, message) {
  const button = element("button", "dismiss", "×");
  button.type = "button";
  button.setAttribute("aria-label", `Dismiss: ${message}`);
  button.addEventListener("click", () => shown.remove());
  return button;
}

byId("send").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const problem = byId("problem");
  const type = submit.submitter?.value ?? "info";
  const message = byId("message").value.trim() || "Nothing in particular";
  const toAll = new FormData(submit.target).get("to") === "all";
  if (!toAll && connection === undefined) {
    problem.textContent = "Not sent: this page has no connection of its own at the moment.";
    return;
  }
  const timestamp = Date.now();
  const data = { id: `own-${timestamp.toString(36)}`, type, message, timestamp };
  try {
    await page.publish({ channel: toAll ? CHANNEL : `@connection/${connection}`, event: "notification", data });
    problem.textContent = "";
  } catch ({ status, message: reason }) {
    problem.textContent = `Not sent: ${status === undefined ? "the hub does not answer" : reason}.`;
  }
});
