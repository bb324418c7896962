import { apply, type Change, compose, difference, split, transform } from "./change.js";
import { type Edit, isSendable, limits, type Refused, SharedText, type TextState } from "./shared-text.js";

/**
 * A shared text as one writer sees it: what all have agreed on, an edit that is on its way, and what was typed meanwhile.
 * Only one edit is on its way at a time; it is done when it has come back over the channel.
 *
 *     typed ──write()──▶ waiting ──take()──▶ sent ──receive()──▶ agreed
 *                           ▲─────── refused ───┘
 */
export class Draft {
  #text = "";
  #name: string;
  #author = newAuthor();
  #count = 0;
  #agreed: SharedText | undefined;
  /** The edit on its way, and its change as it reads now, behind what has come since. */
  #sent: { readonly edit: Edit; change: Change } | undefined;
  #waiting: Change[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  /** With what is not agreed on yet. */
  get text(): string {
    return this.#text;
  }

  /** How many edits have been agreed on. */
  get version(): number {
    return this.#agreed?.version ?? 0;
  }

  /** Whether all that was written is agreed on. */
  get isSaved(): boolean {
    return this.#sent === undefined && this.#waiting.length === 0;
  }

  /** The edit on its way. */
  get sent(): Edit | undefined {
    return this.#sent?.edit;
  }

  rename(name: string): void {
    this.#name = name;
  }

  /** Takes the state that the server answers with. What is not agreed on yet stays. Answers with the change of the text. */
  load(state: TextState): Change {
    const before = this.#text;
    let old = this.#agreed?.text ?? "";
    const agreed = new SharedText(state);
    if (this.#sent && agreed.countOf(this.#author) >= this.#sent.edit.count) {
      old = made(old, this.#sent.change);
      this.#sent = undefined;
    }
    this.#agreed = agreed;
    this.#follow(difference(old, agreed.text));
    this.#giveUpOutdated(agreed);
    this.#show(agreed);
    return difference(before, this.#text);
  }

  /** Takes a change that the writer has made of `text`. */
  write(change: Change): void {
    this.#text = made(this.#text, change);
    const last = this.#waiting.pop();
    const both = last && compose(last, change);
    if (both && isSendable(both)) this.#waiting.push(both);
    else this.#waiting.push(...(last ? [last] : []), change);
  }

  /** The next edit to publish, if there is one and none is on its way. */
  take(): Edit | undefined {
    while (this.#waiting[0]?.length === 0) this.#waiting.shift();
    const next = this.#waiting[0];
    if (!this.#agreed || this.#sent || !next) return undefined;
    // One that removed all has a part for each piece that others have written in it meanwhile.
    const [change = next, ...rest] = split(next, limits.parts);
    this.#waiting.splice(0, 1, ...rest);
    const { era, version: base } = this.#agreed;
    this.#count += 1;
    const edit = { author: this.#author, name: this.#name, count: this.#count, era, base, change };
    this.#sent = { edit, change };
    return edit;
  }

  /**
   * Takes what came on the channel. Answers with the change of `text`, which is none for this writer's own edit, and with
   * why an edit of its own was refused: it is waiting again then.
   */
  receive(edit: unknown): { readonly change: Change; readonly refused?: Refused } {
    const agreed = this.#agreed;
    if (!agreed) return { change: [] };
    const before = agreed.text;
    const { change, refused } = agreed.receive(edit);
    if (this.#sent && this.#isSent(edit)) {
      if (refused) {
        this.#takeBack();
        return { change: [], refused };
      }
      const expected = made(before, this.#sent.change);
      this.#sent = undefined;
      // Another than expected it is only when a state was loaded while it was on its way.
      return { change: expected === agreed.text ? [] : this.#replay(agreed, difference(expected, agreed.text)) };
    }
    if (refused) return { change: [] };
    const theirs = this.#follow(change);
    this.#text = made(this.#text, theirs);
    this.#giveUpOutdated(agreed);
    return { change: theirs };
  }

  /** Has what is not agreed on follow a change of what is. Answers with the change as it reads behind all of that. */
  #follow(change: Change): Change {
    let theirs = change;
    const pass = (mine: Change) => {
      const passed = transform(mine, theirs, false);
      theirs = transform(theirs, mine, true);
      return passed;
    };
    if (this.#sent) this.#sent.change = pass(this.#sent.change);
    this.#waiting = this.#waiting.map(pass);
    return theirs;
  }

  #replay(agreed: SharedText, change: Change): Change {
    const before = this.#text;
    this.#follow(change);
    this.#show(agreed);
    return difference(before, this.#text);
  }

  #show(agreed: SharedText): void {
    const changes = this.#sent ? [this.#sent.change, ...this.#waiting] : this.#waiting;
    this.#text = changes.reduce(made, agreed.text);
  }

  /** By its content: a stranger may publish under this author, and with its next number. */
  #isSent(edit: unknown): boolean {
    return JSON.stringify(edit) === JSON.stringify(this.#sent?.edit);
  }

  /** It has not been made, and will not be: whatever becomes of its publish, all refuse it. */
  #giveUpOutdated({ era, oldest }: SharedText): void {
    const { edit } = this.#sent ?? {};
    if (edit && (edit.era !== era || edit.base < oldest)) this.#takeBack();
  }

  /** It is to go out as another one: of a new author, since this one's numbers may be used up by a stranger. */
  #takeBack(): void {
    if (this.#sent) this.#waiting.unshift(this.#sent.change);
    this.#sent = undefined;
    this.#author = newAuthor();
    this.#count = 0;
  }
}

/** A change of a draft's own, or one that was made of what it follows: it never reaches beyond the text. */
function made(text: string, change: Change): string {
  const result = apply(text, change);
  if (result === undefined) throw new Error(`the change ${JSON.stringify(change)} is not one of this text`);
  return result;
}

/** An author is one page that is open: two of the same name are two. */
function newAuthor(): string {
  const numbers = crypto.getRandomValues(new Uint32Array(3));
  return `a${[...numbers].map((number) => number.toString(36)).join("")}`;
}
