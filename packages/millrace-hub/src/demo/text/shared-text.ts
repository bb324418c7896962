/*
 * A text that many write at once. Who reads the channel of its edits from the same state on comes to the same text.
 *
 * The hub puts all edits in one order: that is what makes this short. An edit says which version its writer had before
 * them; whoever reads it changes it by the edits that came in between (change.ts), and makes it. Nobody decides, all
 * compute the same. Edits are anyone's to publish: what cannot be made, or was made before, is left out by all alike.
 */

import { apply, type Change, inserted, isTidy, lengthOf, transform } from "./change.js";

/** What goes over the channel. */
export interface Edit {
  readonly author: string;
  readonly name: string;
  /** Numbers the edits of an author, from 1 on. */
  readonly count: number;
  /** The history that `base` belongs to: a hub that has lost edits begins another one. */
  readonly era: string;
  /** The version of the text that the change was made of. */
  readonly base: number;
  readonly change: Change;
}

/** All that there is to know in order to go on. Of a new text, its era and its text. */
export interface TextState {
  readonly era: string;
  readonly text: string;
  readonly version?: number;
  /** The last edits as they were made, oldest first. */
  readonly recent?: readonly Change[];
  /** By author, the number of the last edit that was made; who wrote last is last. */
  readonly counts?: readonly (readonly [author: string, count: number])[];
}

export type Refused = "malformed" | "outdated" | "repeated" | "full";

/** In characters, and parts of a change. A text may be longer than what pages let visitors type, never longer than `most`. */
export const limits = { text: 8_000, most: 20_000, parts: 200, name: 30 };

/** So many of the last edits are kept, for those that were made before them, and no more characters in them than this. */
const keptEdits = 300;
const keptCharacters = 20_000;
/** So many authors are remembered, with the number of their last edit: what is published again is not made again. */
const keptAuthors = 600;

/** Control characters but tab and line feed: pages cannot show them, and change some by themselves. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is meant
const unwanted = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** A text as it may be in an edit. */
export const cleaned = (text: string): string =>
  text.replace(/\r\n?/g, "\n").toWellFormed().replace(unwanted, "\ufffd");

/** Whether a change is small enough for one edit. */
export const isSendable = (change: Change): boolean => change.length <= limits.parts && inserted(change) <= limits.text;

/** What all have agreed on: the edits of the channel so far, one after the other. */
export class SharedText {
  readonly era: string;
  #text: string;
  #version: number;
  readonly #recent: Change[];
  /** In all of `recent`. */
  #characters = 0;
  readonly #counts: Map<string, number>;

  constructor({ era, text, version = 0, recent = [], counts = [] }: TextState) {
    this.era = era;
    this.#text = text;
    this.#version = version;
    this.#recent = [...recent];
    this.#counts = new Map(counts);
    for (const change of recent) this.#characters += inserted(change);
  }

  get text(): string {
    return this.#text;
  }

  /** How many edits have been made. */
  get version(): number {
    return this.#version;
  }

  /** The oldest version that an edit may be made of. */
  get oldest(): number {
    return this.#version - this.#recent.length;
  }

  /** The number of the last edit of an author. */
  countOf(author: string): number {
    return this.#counts.get(author) ?? 0;
  }

  /** Takes what came on the channel. Answers with the change as it was made, or why it was not. */
  receive(
    edit: unknown,
  ):
    | { readonly change: Change; readonly refused?: undefined }
    | { readonly change?: undefined; readonly refused: Refused } {
    if (!isEdit(edit)) return { refused: "malformed" };
    const { author, count, era, base } = edit;
    if (era !== this.era || base < this.oldest || base > this.#version) return { refused: "outdated" };
    if (count <= this.countOf(author)) return { refused: "repeated" };
    let { change } = edit;
    for (const other of this.#recent.slice(base - this.oldest)) change = transform(change, other, false);
    const text = apply(this.#text, change);
    if (text === undefined) return { refused: "malformed" };
    if (text.length > this.#text.length && lengthOf(text) > limits.most) return { refused: "full" };
    this.#text = text;
    this.#version += 1;
    this.#remember(author, count, change);
    return { change };
  }

  toJSON(): Required<TextState> {
    const { era, text, version } = this;
    return { era, text, version, recent: [...this.#recent], counts: [...this.#counts] };
  }

  #remember(author: string, count: number, change: Change): void {
    this.#counts.delete(author);
    this.#counts.set(author, count);
    // Who is forgotten has written before all edits that are kept: what it publishes again is outdated.
    const [oldest] = this.#counts.keys();
    if (oldest !== undefined && this.#counts.size > keptAuthors) this.#counts.delete(oldest);
    this.#recent.push(change);
    this.#characters += inserted(change);
    while (this.#recent.length > keptEdits || (this.#characters > keptCharacters && this.#recent.length > 1))
      this.#characters -= inserted(this.#recent.shift() ?? []);
  }
}

/** Anyone can publish anything: what is no edit is none for everyone. */
function isEdit(value: unknown): value is Edit {
  if (typeof value !== "object" || value === null) return false;
  const { author, name, count, era, base, change } = value as Record<keyof Edit, unknown>;
  return (
    typeof author === "string" &&
    /^[a-z0-9]{4,24}$/.test(author) &&
    isName(name) &&
    isWhole(count) &&
    typeof era === "string" &&
    isWhole(base) &&
    Array.isArray(change) &&
    change.length <= limits.parts &&
    change.every(isPart) &&
    isSendable(change) &&
    isTidy(change)
  );
}

const isWhole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isName = (value: unknown) =>
  typeof value === "string" && value.length <= 2 * limits.name && value === cleaned(value);

function isPart(part: unknown): boolean {
  if (typeof part === "string") return part !== "" && part === cleaned(part);
  return Number.isSafeInteger(part) && part !== 0;
}
