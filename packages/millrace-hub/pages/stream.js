// The connection: the browser's own EventSource, and what it leaves to the page.
//
//   connecting ──open──▶ live ──error──▶ reconnecting ──open──▶ live
//       └───────error──────────────────────▲        any ──told not to come back──▶ ended
//
// The browser reconnects by itself, with Last-Event-ID, as long as the connection merely broke. After an answer other
// than 200 (a proxy's 503, say) it gives up for good and is CLOSED: then a new one is made here.

const PATH = "/events?channel=system&channel=general&format=envelope&rewind=120";
const NOTICES = ["millrace.gap", "millrace.close"];

const OPEN_WITHIN_MS = 5_000;
/** After an error the browser first waits as long as the hub's `retry` says. */
const REOPEN_WITHIN_MS = 20_000;
const RECREATE_AFTER_MS = 3_000;
/** Figures come every few seconds; a stream that has brought some and falls silent this long is dead unnoticed. */
const SILENT_AFTER_MS = 30_000;

const NO_ANSWER =
  "No answer from the hub yet. Over plain HTTP a browser opens at most six connections to one origin: " +
  "if this page is open in six other tabs, they may have used them all up. Close one of them.";
const ENDED = "The hub has ended this connection for good. Reload the page to connect again.";

/**
 * `onState(state)` with `connecting`, `live`, `reconnecting` or `ended`; `onHint(text)` with what the reader should
 * know, or "" when it no longer holds; `onEvent(envelope)`; `onNotice(name, data)` for the hub's reserved events.
 */
export function openStream({ onState, onHint, onEvent, onNotice }) {
  let source;
  let lastEventId = "";
  let lastHeardAt = 0;
  let figuresSeen = false;
  let openTimer;
  let recreateTimer;

  function expectOpen(withinMs) {
    clearTimeout(openTimer);
    openTimer = setTimeout(() => onHint(NO_ANSWER), withinMs);
  }

  function connect() {
    clearTimeout(recreateTimer);
    source?.close();
    // A new EventSource knows no last event: the parameter tells the hub, and wins over the rewind.
    const url = lastEventId === "" ? PATH : `${PATH}&lastEventId=${encodeURIComponent(lastEventId)}`;
    source = new EventSource(url);
    figuresSeen = false;
    expectOpen(OPEN_WITHIN_MS);
    source.onopen = opened;
    source.onerror = failed;
    source.onmessage = received;
    for (const name of NOTICES) source.addEventListener(name, noticed);
  }

  function opened() {
    clearTimeout(openTimer);
    lastHeardAt = Date.now();
    onHint("");
    onState("live");
  }

  function failed() {
    onState("reconnecting");
    if (source.readyState !== EventSource.CLOSED) {
      expectOpen(REOPEN_WITHIN_MS);
      return;
    }
    clearTimeout(openTimer);
    clearTimeout(recreateTimer);
    sayWhy();
    // Jitter: pages that were refused together would otherwise all come back together.
    recreateTimer = setTimeout(connect, RECREATE_AFTER_MS * (1 + Math.random()));
  }

  /** An EventSource does not tell what it was answered. A poll without a cursor is answered at once, and likewise. */
  async function sayWhy() {
    try {
      const answer = await fetch("/events?mode=poll");
      if (!answer.ok) onHint(`The hub refuses the stream: ${(await answer.json()).detail}.`);
    } catch {
      // nobody answers, or not the hub: the state says that it is tried again
    }
  }

  function received(message) {
    lastHeardAt = Date.now();
    lastEventId = message.lastEventId;
    const envelope = parse(message.data);
    if (!isEnvelope(envelope)) return;
    figuresSeen ||= envelope.channel === "system";
    onEvent(envelope);
  }

  function noticed(message) {
    lastHeardAt = Date.now();
    const data = parse(message.data) ?? {};
    onNotice(message.type, data);
    if (message.type === "millrace.close" && data.reconnect === false) end();
    else lastEventId = message.lastEventId;
  }

  /** The browser would come back by itself, with an id that says that it should not. */
  function end() {
    source.close();
    for (const timer of [openTimer, recreateTimer]) clearTimeout(timer);
    clearInterval(watch);
    onState("ended");
    onHint(ENDED);
  }

  const watch = setInterval(() => {
    const dead = figuresSeen && source.readyState === EventSource.OPEN && Date.now() - lastHeardAt > SILENT_AFTER_MS;
    if (!dead) return;
    onState("reconnecting");
    connect();
  }, 5_000);

  onState("connecting");
  connect();
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isEnvelope(value) {
  return typeof value === "object" && value !== null && typeof value.channel === "string" && "data" in value;
}
