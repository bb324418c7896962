import { MillraceError } from "./errors.js";
import { assertName } from "./names.js";
import { quote } from "./text.js";

/**
 * What a subscriber reads: exact channels and prefixes. A prefix keeps its slash (`"news/"` for `news/*`); the
 * empty prefix is `*`, every channel. Sorted, and nothing in it twice, not even through a wider prefix: so equal
 * selections are equal texts (`key`), and a channel is selected by one part at most.
 */
export interface Selection {
  readonly exact: readonly string[];
  readonly prefixes: readonly string[];
  /** One text per selection, for grouping. JSON, because joining untrusted names would let two selections share one. */
  readonly key: string;
}

/**
 * Reads channel names and `prefix/*` as a client gives them.
 * @throws MillraceError `invalid_channel` naming the one that is wrong
 */
export function parseSelection(patterns: readonly string[]): Selection {
  const exact = new Set<string>();
  const prefixes = new Set<string>();
  for (const pattern of patterns) {
    assertName(pattern, "channel");
    if (pattern.startsWith("@")) {
      throw new MillraceError(
        "invalid_channel",
        `channel ${quote(pattern)} begins with "@": a subscriber is given its personal channels by its identity`,
      );
    }
    const star = pattern.indexOf("*");
    if (star < 0) exact.add(pattern);
    else if (star === pattern.length - 1 && (star === 0 || pattern[star - 1] === "/"))
      prefixes.add(pattern.slice(0, -1));
    else
      throw new MillraceError(
        "invalid_channel",
        `channel ${quote(pattern)}: "*" may stand only at the end, as in "news/*"`,
      );
  }
  return selectionOf(exact, prefixes);
}

/** A selection of names that are known to be well formed, `@…` channels included. */
export function selectionOf(exact: Iterable<string>, prefixes: Iterable<string> = []): Selection {
  // Each against each took 14 s for the 100,000 patterns that one request may carry.
  const wide: string[] = [];
  for (const prefix of [...new Set(prefixes)].sort()) {
    const wider = wide.at(-1); // sorted: what a prefix covers follows it at once
    if (wider === undefined || !prefix.startsWith(wider)) wide.push(prefix);
  }
  const known = new Set(wide);
  const isCovered = (name: string) => wide.length > 0 && prefixesOf(name).some((prefix) => known.has(prefix));
  const names = [...new Set(exact)].filter((name) => !isCovered(name)).sort();
  return {
    exact: names,
    prefixes: wide,
    get key() {
      return JSON.stringify([names, wide]);
    },
  };
}

/** Whether `prefix/*` matches a channel. Never one that begins with `@`: those are reached by identity alone. */
export function covers(prefix: string, channel: string): boolean {
  return channel.length > prefix.length && channel.startsWith(prefix) && !channel.startsWith("@");
}

/** Whether the selection holds a channel. Its names are sorted, so a watchlist of a thousand is searched by halves. */
export function selects(selection: Selection, channel: string): boolean {
  const names = selection.exact;
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const name = names[middle] as string;
    if (name === channel) return true;
    if (name < channel) low = middle + 1;
    else high = middle;
  }
  return selection.prefixes.some((prefix) => covers(prefix, channel));
}

/** Whether the other selection holds all that this one does. */
export function isWithin({ exact, prefixes }: Selection, other: Selection): boolean {
  return (
    exact.every((name) => selects(other, name)) &&
    prefixes.every((prefix) => other.prefixes.some((wider) => prefix.startsWith(wider)))
  );
}

/** The prefixes that could select `channel`: `a/b/c` gives `""`, `a/`, `a/b/`. */
export function prefixesOf(channel: string): string[] {
  if (channel.startsWith("@")) return [];
  const found = [""];
  for (
    let slash = channel.indexOf("/");
    slash >= 0 && slash < channel.length - 1;
    slash = channel.indexOf("/", slash + 1)
  ) {
    found.push(channel.slice(0, slash + 1));
  }
  return found;
}

/** The selection as its client would write it. */
export function patternsOf(selection: Selection): string[] {
  return [...selection.exact, ...selection.prefixes.map((prefix) => `${prefix}*`)];
}
