// A text that all visitors write at once. What is typed is shown at once, and goes out as an edit; the hub puts all edits
// in one order, in which every page makes them (/text/shared-text.js says how).
//
//   typed ──▶ draft ──publish──▶ hub ──stream──▶ draft of every page ──▶ textarea, before the next frame

import { compose, difference, lengthOf, moved, transform, unitsOf } from "/text/change.js";
import { Draft } from "/text/draft.js";
import { cleaned, limits } from "/text/shared-text.js";
import { element, onceAFrame, setText } from "./dom.js";
import { count } from "./format.js";
import { openPage } from "./frame.js";
import { nameField, nameOf, toneOf } from "./visitor.js";

const CHANNEL = "demo/document";
/** So long after their last edit others are shown as writing. */
const WRITING_MS = 12_000;
/** And so long with their name at their caret. */
const NAMED_MS = 2_000;
const MOST_WRITERS = 8;
const TRY_AGAIN_MS = 400;
const MOST_TRY_AGAIN_MS = 4_000;
/** Until a text that is full is tried again. */
const FULL_MS = 2_000;

const byId = (id) => document.getElementById(id);
const editor = byId("editor");
const mirror = byId("mirror");
const name = nameField(byId("name"), (changed) => draft.rename(changed));
const draft = new Draft(name());
/** Others who write: by author their name, and where in the draft they did last. */
const writers = new Map();
/** What the textarea shows, and what has changed in the draft since. */
let shown = "";
let unshown = [];
let composing = false;

const page = openPage({ channels: [CHANNEL], snapshot: fetchState });

async function fetchState(signal) {
  const answer = await fetch("/demo/document", { signal });
  if (!answer.ok) {
    const { detail = `the answer was ${answer.status}` } = await answer.json().catch(() => ({}));
    if (answer.status < 500) tellProblem(`The hub does not give the document: ${detail}.`);
    throw new Error(detail);
  }
  return { position: answer.headers.get("millrace-position"), data: await answer.json() };
}

page.on("snapshot", ({ data }) => begin(data));
// The hub says so when it had to go on from an older text; nobody else can publish an event of such a name.
page.on("millrace.state", ({ data }) => begin(data));
page.on("edit", ({ data }) => {
  const { change, refused } = draft.receive(data);
  show(change);
  if (change.length > 0) showWriter(data, change);
  if (refused === "full") {
    tellProblem("The document is full: remove something.");
    setTimeout(send, FULL_MS);
  } else send();
});

function begin(state) {
  show(draft.load(state));
  editor.readOnly = false;
  editor.maxLength = limits.text;
  send();
}

/** What others have changed: shown before the next frame, and not while a word is put together from several keys. */
function show(change) {
  unshown = compose(unshown, change);
  for (const writer of writers.values()) writer.place = moved(writer.place, change);
  redraw();
}

const redraw = onceAFrame(() => {
  if (!composing && unshown.length > 0) showText();
  drawWriters();
  setText(byId("saved"), draft.isSaved ? "all shared" : "on their way …");
  setText(byId("version"), count(draft.version));
  setText(byId("length"), `${count(lengthOf(draft.text))} of ${count(limits.text)}`);
});

/** The caret stays where it was in the text. */
function showText() {
  const { selectionStart, selectionEnd, selectionDirection } = editor;
  const [start, end] = [selectionStart, selectionEnd].map((at) => lengthOf(shown.slice(0, at)));
  const [from, to] = [moved(start, unshown, start !== end), moved(end, unshown)];
  shown = draft.text;
  unshown = [];
  editor.value = shown;
  if (document.activeElement !== editor) return; // some browsers would give it the focus
  editor.setSelectionRange(unitsOf(shown, from), unitsOf(shown, Math.max(from, to)), selectionDirection);
}

editor.addEventListener("input", () => {
  const value = cleaned(editor.value);
  const typed = difference(shown, value, editor.selectionEnd);
  if (value !== editor.value) editor.value = value;
  shown = value;
  // It was made of what was shown, and the draft may have more by now.
  const change = transform(typed, unshown, false);
  unshown = transform(unshown, typed, true);
  draft.write(change);
  for (const writer of writers.values()) writer.place = moved(writer.place, change);
  redraw();
  send();
});

editor.addEventListener("compositionstart", () => {
  composing = true;
});
editor.addEventListener("compositionend", () => {
  composing = false;
  redraw();
});

/** Publishes the next edit, again and again until there is an answer; the next one when it has come over the stream. */
async function send() {
  const edit = draft.take();
  if (!edit) return;
  const idempotencyKey = `document/${edit.author}/${edit.count}`;
  for (let waitMs = TRY_AGAIN_MS; draft.sent === edit; waitMs = Math.min(2 * waitMs, MOST_TRY_AGAIN_MS)) {
    try {
      await page.publish({ channel: CHANNEL, event: "edit", data: edit }, { idempotencyKey });
      return tellProblem("");
    } catch ({ status, message }) {
      const again = status === undefined || status === 429 || status >= 500;
      tellProblem(again ? "" : `What you write stays on this page. The hub says: ${message}.`);
      if (!again) return;
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

const tellProblem = (text) => setText(byId("problem"), text);

addEventListener("beforeunload", (event) => {
  if (!draft.isSaved) event.preventDefault();
});

/** Where somebody has just written: behind what was changed last. */
function showWriter({ author, name }, change) {
  let at = 0;
  let place = 0;
  for (const part of change) {
    at += typeof part === "string" ? lengthOf(part) : Math.max(0, part);
    if (typeof part === "string" || part < 0) place = at;
  }
  writers.delete(author);
  writers.set(author, { name: nameOf(name), place, atMs: Date.now() });
  if (writers.size > MOST_WRITERS) writers.delete(writers.keys().next().value);
}

function drawWriters() {
  for (const [author, { atMs }] of writers) if (atMs < Date.now() - WRITING_MS) writers.delete(author);
  const names = new Map([...writers.values()].map(({ name }) => [name, toneOf(name)]));
  const list = [...names].map(([name, tone]) => element("li", tone, name));
  if (list.length === 0) list.push(element("li", "none", "nobody else"));
  const said = (rows) => rows.map(({ textContent }) => textContent).join("\n");
  if (said(list) !== said([...byId("writers").children])) byId("writers").replaceChildren(...list);
  drawMirror();
}

/** The same text under the textarea, with the carets in it. */
function drawMirror() {
  const carets = [...writers.values()].sort((one, other) => one.place - other.place);
  const parts = [];
  let from = 0;
  for (const { name, place, atMs } of carets) {
    const to = unitsOf(shown, place) ?? shown.length;
    const caret = element("span", `caret ${toneOf(name)}`);
    caret.dataset.name = name;
    caret.classList.toggle("now", Date.now() - atMs < NAMED_MS);
    parts.push(shown.slice(from, to), caret);
    from = to;
  }
  mirror.replaceChildren(...parts, shown.slice(from), "\u200b"); // the last line has its height when it is empty, too
  for (const caret of mirror.querySelectorAll(".caret"))
    caret.classList.toggle("left", caret.offsetLeft > mirror.clientWidth * 0.7);
}

setInterval(() => writers.size > 0 && redraw(), 1_000);
