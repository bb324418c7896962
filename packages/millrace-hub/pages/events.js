// The list of the last 50 events. Only textContent: what is published is anyone's.

import { cut, localTime } from "./format.js";

const SHOWN = 50;
const DATA_LIMIT = 200;

export function createEventList(list, empty) {
  // Two memories: figures come every second, and would push everything else out of one within a minute.
  const all = [];
  const withoutSystem = [];
  let withSystem = true;
  /** How many of the shown memory's newest entries have no row yet; -1 when all rows must be made anew. */
  let fresh = -1;

  list.addEventListener("click", (click) => click.target.closest("li.system")?.classList.toggle("open"));

  function keep(entry) {
    remember(all, entry);
    if (!entry.system) remember(withoutSystem, entry);
    if (fresh >= 0 && (withSystem || !entry.system)) fresh += 1;
  }

  return {
    addEvent({ channel, event, id, time, data }) {
      keep({ system: channel === "system", notice: false, channel, event, id, time, data });
    },

    addNotice(name, data) {
      const text = meaningOf(name, data);
      keep({ system: false, notice: true, channel: "hub", event: name, id: "", time: Date.now(), data: text });
    },

    showSystem(shown) {
      withSystem = shown;
      fresh = -1;
    },

    /** Brings the rows up to date. However many events came meanwhile, it makes at most 50. */
    draw() {
      const shown = withSystem ? all : withoutSystem;
      if (fresh < 0 || fresh >= SHOWN) list.replaceChildren(...shown.map(rowOf));
      else if (fresh > 0) list.prepend(...shown.slice(0, fresh).map(rowOf));
      while (list.childElementCount > SHOWN) list.lastElementChild.remove();
      fresh = 0;
      empty.hidden = shown.length > 0;
      empty.textContent = withSystem
        ? "Nothing yet."
        : "Nothing but system events yet. Publish one: the command is on this page.";
    },
  };
}

function remember(memory, entry) {
  memory.unshift(entry);
  if (memory.length > SHOWN) memory.pop();
}

function rowOf({ system, notice, channel, event, id, time, data }) {
  const row = document.createElement("li");
  row.className = notice ? "notice" : system ? "system" : "published";
  const at = part("time", "time", localTime(time));
  if (Number.isFinite(time)) at.dateTime = new Date(time).toISOString();
  const text = cut(typeof data === "string" ? data : (JSON.stringify(data) ?? ""), DATA_LIMIT);
  row.append(
    at,
    part("span", "channel", channel),
    part("span", "event", event ?? "message"),
    part("span", "id", id ?? ""),
    part("span", "data", text),
  );
  return row;
}

function meaningOf(name, { reason, may, channels = [], reconnect }) {
  if (name === "millrace.close") {
    return reconnect
      ? `The hub ends this connection (${reason}); it is opened again.`
      : `The hub has ended this connection (${reason}).`;
  }
  const where = channels.length > 0 ? ` on ${channels.join(", ")}` : "";
  const lost = may ? "may have been missed" : "were missed";
  return reason === "dropped"
    ? `Events before this point${where} ${lost}: they are no longer kept.`
    : `Events before this point${where} ${lost}: the hub does not know where this page had been.`;
}

function part(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}
