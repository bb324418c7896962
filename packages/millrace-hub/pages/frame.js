// What every simulated page has around it: the connection and its state, counters, navigation, the restart of the hub.
//
//   <header class="top"></header>                          is filled in here
//   <main>
//     <div class="page-head"><h1>Stocks</h1> <p>…</p></div>  gets the label "simulated", buttons and links
//
//   import { openPage } from "./frame.js";
//   const page = openPage({ channels: ["demo/stocks"], rewind: 300 });
//   page.on("price", ({ data, channel, id }) => …);        as `on` of `connect`
//   await page.publish({ channel: "demo/chat", data });    throws an Error with what the hub said, and its `status`

import { acrossTabs, connect } from "/millrace/client/index.js";
import { element, onceAFrame, setText } from "./dom.js";
import { count } from "./format.js";
import { showNavigation } from "./navigation.js";
import { createTally } from "./tally.js";

/** What a state is called here, beside its own name. */
const words = { open: "live", closed: "ended" };

/** `channels` to read, and how many of their events to begin back with, or a `snapshot` as of `connect`. */
export function openPage({ channels, rewind = 0, snapshot }) {
  const { tally, count: countEvent, beginAnew } = createTally();
  const show = fillFrame(() => stream.status);
  // However many of these pages are open, and whatever each of them reads: the browser has one connection for all.
  const share = acrossTabs();
  const stream = connect(`/events?rewind=${rewind}`, { channels, share, snapshot, backoff: { maxMs: 4_000 } });
  const showTally = onceAFrame(() => show.tally(tally));
  stream.on("*", (event) => {
    countEvent(event);
    showTally();
  });
  stream.on("gap", ({ reason }) => {
    beginAnew();
    show.note(
      reason === "dropped"
        ? "The hub says: events before this point are no longer kept."
        : "The hub says: it does not know where this page had been. Its store is another one.",
    );
  });
  stream.on("state", show.state);
  return { stream, on: (type, handler) => stream.on(type, handler), publish };
}

/** With an `idempotencyKey` it can be done again when no answer came, and nothing is doubled. */
async function publish(event, { idempotencyKey } = {}) {
  const answer = await post("/publish", event, idempotencyKey && { "idempotency-key": idempotencyKey });
  if (!answer.ok) throw Object.assign(new Error(await reasonOf(answer)), { status: answer.status });
}

const post = (path, body, headers) =>
  fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });

const reasonOf = async (answer) => (await answer.json().catch(() => ({}))).detail ?? `the answer was ${answer.status}`;

/** Makes the frame; `status()` is asked while the page waits. */
function fillFrame(status) {
  const state = element("p", "state", element("span", "", "connecting"));
  state.id = "state";
  state.setAttribute("role", "status");
  const note = element("p", "note");
  note.id = "note";
  note.setAttribute("role", "status");
  const places = { received: "Events received", lost: "Lost", doubled: "Doubled" };
  const tallies = element("dl", "tallies");
  for (const [name, title] of Object.entries(places)) {
    places[name] = element("dd", "", "0");
    places[name].id = name;
    tallies.append(element("div", "", element("dt", "", title), places[name]));
  }
  const icon = element("img");
  Object.assign(icon, { src: "/icon.svg", alt: "", width: 36, height: 36 });
  const brand = element("a", "brand", icon, element("span", "name", "Millrace"));
  brand.href = "/";
  const tabs = element("dd");
  const sharing = element("div", "", element("dt", "", "Tabs on one connection"), tabs);
  sharing.hidden = true;
  tallies.append(sharing);
  document.querySelector(".top").append(brand, tallies, state);
  const skip = element("a", "skip", "Skip to the page");
  skip.href = "#main";
  Object.assign(document.querySelector("main"), { id: "main", tabIndex: -1 });
  document.body.prepend(skip);
  showNavigation();

  const restart = element("button", "", "Restart the hub");
  restart.type = "button";
  restart.id = "restart";
  const source = element("a", "", "How it is done");
  source.href = `${location.pathname}.js`;
  const head = document.querySelector(".page-head");
  head.querySelector("h1").append(" ", element("span", "simulated", "simulated"));
  head.append(element("div", "actions", source, restart), note);

  restart.addEventListener("click", async () => {
    restart.disabled = true;
    try {
      const answer = await post("/demo/restart", {});
      setText(note, answer.ok ? "The hub stops now, as in a crash." : `Not restarted: ${await reasonOf(answer)}.`);
    } catch {
      setText(note, "The hub does not answer.");
    }
    restart.disabled = status().state !== "open";
  });

  let ticking;
  let wasAway = false;

  function tellState() {
    const { state: now, attempt, error, reason, untilMs, tabs: shared } = status();
    const away = now === "waiting" || (now === "connecting" && attempt > 0);
    const shown = away ? "waiting" : (words[now] ?? now);
    state.dataset.state = { live: "live", polling: "live", waiting: "reconnecting" }[shown] ?? shown;
    setText(state.firstChild, shown);
    restart.disabled = now !== "open" && now !== "polling";
    sharing.hidden = !(shared?.count > 1);
    setText(tabs, count(shared?.count));
    note.ariaLive = away ? "off" : "polite"; // nobody wants to hear the seconds counted
    if (away) {
      wasAway = true;
      const seconds = untilMs === undefined ? 0 : Math.max(0, Math.ceil((untilMs - Date.now()) / 1000));
      setText(note, `The hub is away: attempt ${Math.max(1, attempt)} ${seconds > 0 ? `in ${seconds} s` : "now"}.`);
    } else if (now === "closed") {
      setText(note, `Ended: ${error?.message ?? reason ?? "by this page"}. Reload the page to begin anew.`);
    } else if ((now === "open" || now === "polling") && wasAway) {
      wasAway = false;
      setText(note, "The hub is back; the page went on where it was.");
    }
    if (!away) clearInterval(ticking);
  }

  return {
    tally(tally) {
      for (const name of ["received", "lost", "doubled"]) setText(places[name], count(tally[name]));
      places.lost.classList.toggle("bad", tally.lost > 0);
      places.doubled.classList.toggle("bad", tally.doubled > 0);
    },
    note: (text) => setText(note, text),
    state() {
      clearInterval(ticking);
      ticking = setInterval(tellState, 250);
      tellState();
    },
  };
}
