// Who the visitor is: a name that the pages share, for as long as the tab is open.

const LONGEST = 30;
const KEY = "millrace.name";

/** A name as it is shown: one line, not too long. What is published is anyone's. */
export function nameOf(value) {
  const name =
    typeof value === "string" ? [...value.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim()].slice(0, LONGEST).join("") : "";
  return name === "" ? "Nobody" : name;
}

/** Has a field hold the visitor's name. Answers with a function that says what it is now. */
export function nameField(field, changed = () => {}) {
  field.maxLength = LONGEST;
  field.value = stored() ?? `Guest ${100 + Math.floor(Math.random() * 900)}`;
  store(field.value);
  field.addEventListener("change", () => {
    field.value = nameOf(field.value);
    store(field.value);
    changed(field.value);
  });
  return () => nameOf(field.value);
}

/** A colour for a name, one of six in frame.css: `tone-0` to `tone-5`. */
export function toneOf(text) {
  let sum = 7;
  for (const character of text) sum = (sum * 33 + character.codePointAt(0)) % 65_521;
  return `tone-${sum % 6}`;
}

function stored() {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined; // forbidden by the browser's settings
  }
}

function store(name) {
  try {
    sessionStorage.setItem(KEY, name);
  } catch {
    // then it is for this page only
  }
}
