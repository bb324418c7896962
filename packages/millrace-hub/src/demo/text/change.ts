/*
 * A change of a text, and how two changes that were made of the same text at once are both kept.
 *
 * A change is a list that is read along the text: a number above 0 keeps so many characters, one below 0 removes so
 * many, a string is inserted. What is left at the end is kept: [5, "new ", -3]. Characters are code points, so that no
 * emoji is cut in two. This is operational transformation, in the form that ot.js and ShareDB have made known.
 */

type Part = number | string;
export type Change = readonly Part[];

/** The text with the change made; undefined when the change reaches beyond its end. */
export function apply(text: string, change: Change): string | undefined {
  let at = 0;
  let result = "";
  for (const part of change) {
    if (typeof part === "string") {
      result += part;
      continue;
    }
    const to = unitsOf(text, Math.abs(part), at);
    if (to === undefined) return undefined;
    if (part > 0) result += text.slice(at, to);
    at = to;
  }
  return result + text.slice(at);
}

/**
 * The change as it reads after `other`. Both were made of the same text. Where both insert at one place, `first` says
 * whether this one's text goes before the other's.
 *
 *     apply(apply(text, a), transform(b, a, false)) === apply(apply(text, b), transform(a, b, true))
 */
export function transform(change: Change, other: Change, first: boolean): Change {
  const result: Part[] = [];
  const mine = new Reader(change);
  const theirs = new Reader(other);
  while (mine.part !== undefined) {
    if (typeof mine.part === "string" && (first || typeof theirs.part !== "string")) add(result, mine.take());
    else if (typeof theirs.part === "string") add(result, sizeOf(theirs.take()));
    else {
      const size = Math.min(sizeOf(mine.part), sizeOf(theirs.part));
      const removed = removes(theirs.take(size));
      const part = mine.take(size);
      if (!removed) add(result, part);
    }
  }
  return trimmed(result);
}

/** One change that does what the two do one after the other. */
export function compose(one: Change, then: Change): Change {
  const result: Part[] = [];
  const before = new Reader(one);
  const after = new Reader(then);
  while (before.part !== undefined || after.part !== undefined) {
    if (removes(before.part)) add(result, before.take());
    else if (typeof after.part === "string") add(result, after.take());
    else {
      const size = Math.min(sizeOf(before.part), sizeOf(after.part));
      const part = before.take(size);
      if (!removes(after.take(size))) add(result, part);
      else if (typeof part === "number") add(result, -size);
    }
  }
  return trimmed(result);
}

/** A change as two, the first of so many parts, that do the same one after the other; or alone, if it has no more. */
export function split(change: Change, parts: number): Change[] {
  if (change.length <= parts) return [change];
  const first = change.slice(0, parts);
  const rest: Part[] = [];
  for (const part of first) if (!removes(part)) add(rest, sizeOf(part));
  for (const part of change.slice(parts)) add(rest, part);
  return [trimmed(first), rest];
}

/** Whether a change has the one form that changes have here. */
export function isTidy(change: Change): boolean {
  const tidy: Part[] = [];
  for (const part of change) add(tidy, part);
  return JSON.stringify(trimmed(tidy)) === JSON.stringify(change);
}

/**
 * What makes `after` of `before`: one piece is replaced. `caret` is where a writer's caret stands in `after`, in UTF-16
 * units, behind what was typed: of three equal letters it tells which one is new.
 */
export function difference(before: string, after: string, caret = after.length): Change {
  const most = Math.min(before.length, after.length);
  let start = 0;
  let end = 0;
  // Never to between the two halves of a character: neighbours of one emoji often share a half with it.
  const lengthenEnd = (limit: number) => {
    while (end < limit && before.at(-1 - end) === after.at(-1 - end)) end++;
    if (end > 0 && isLow(before, before.length - end)) end--;
  };
  lengthenEnd(Math.min(most, after.length - caret));
  while (start < most - end && before[start] === after[start]) start++;
  if (start > 0 && isHigh(before, start - 1)) start--;
  lengthenEnd(most - start);
  const kept = lengthOf(before.slice(0, start));
  const removed = lengthOf(before.slice(start, before.length - end));
  const result: Part[] = [];
  for (const part of [kept, after.slice(start, after.length - end), -removed]) add(result, part);
  return trimmed(result);
}

/**
 * Where a place in the text lies after the change, both in characters. With something inserted right there it stays in
 * front of it, or goes behind it.
 */
export function moved(place: number, change: Change, behind = false): number {
  let at = 0;
  let result = place;
  for (const part of change) {
    if (at > place || (at === place && !(behind && typeof part === "string"))) break;
    if (typeof part === "string") result += lengthOf(part);
    else {
      if (part < 0) result -= Math.min(-part, place - at);
      at += Math.abs(part);
    }
  }
  return result;
}

/** How many characters a text has. */
export function lengthOf(text: string): number {
  let length = 0;
  for (let at = 0; at < text.length; at++) if (!isPair(text, at)) length++;
  return length;
}

/** How many characters a change inserts. */
export const inserted = (change: Change): number =>
  change.reduce<number>((sum, part) => sum + (typeof part === "string" ? lengthOf(part) : 0), 0);

/** Where, in UTF-16 units, so many characters from `from` end; undefined when there are not so many. */
export function unitsOf(text: string, characters: number, from = 0): number | undefined {
  if (characters > text.length - from) return undefined;
  let at = from;
  for (let left = characters; left > 0; left--) {
    if (at >= text.length) return undefined;
    at += isPair(text, at) ? 2 : 1;
  }
  return at;
}

const isHigh = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xd800;
const isLow = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xdc00;
const isPair = (text: string, at: number) => isHigh(text, at) && isLow(text, at + 1);

/** Behind the end of a change everything is kept. */
function sizeOf(part: Part | undefined): number {
  if (part === undefined) return Infinity;
  return typeof part === "string" ? lengthOf(part) : Math.abs(part);
}

/** By its type first: what is inserted may be a number, too, and "-1" < 0. */
const removes = (part: Part | undefined): boolean => typeof part === "number" && part < 0;

/** The parts of a change, in pieces as they are asked for. */
class Reader {
  readonly #change: Change;
  #at = 0;
  part: Part | undefined;

  constructor(change: Change) {
    this.#change = change;
    this.part = change[0];
  }

  take(size = Infinity): Part {
    const { part } = this;
    if (part === undefined) return size;
    if (size >= sizeOf(part)) {
      this.part = this.#change[++this.#at];
      return part;
    }
    if (typeof part === "string") {
      const end = unitsOf(part, size) as number;
      this.part = part.slice(end);
      return part.slice(0, end);
    }
    this.part = part - Math.sign(part) * size;
    return Math.sign(part) * size;
  }
}

/** Adds a part in the one form that a change has: like parts are one, and what is inserted comes before what is removed. */
function add(change: Part[], part: Part): void {
  if (part === 0 || part === "") return;
  const last = change.at(-1);
  if (typeof part === "string") {
    const removed = typeof last === "number" && last < 0 ? last : 0;
    if (removed < 0) change.pop();
    const before = change.at(-1);
    if (typeof before === "string") change[change.length - 1] = before + part;
    else change.push(part);
    if (removed < 0) change.push(removed);
  } else if (typeof last === "number" && Math.sign(last) === Math.sign(part)) change[change.length - 1] = last + part;
  else change.push(part);
}

function trimmed(change: Part[]): Change {
  const last = change.at(-1);
  if (typeof last === "number" && last > 0) change.pop();
  return change;
}
