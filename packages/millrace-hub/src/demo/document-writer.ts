import { type Change, lengthOf } from "./text/change.js";
import { Draft } from "./text/draft.js";
import { type Edit, limits, type TextState } from "./text/shared-text.js";

const name = "Simulated writer";
/** Its paragraph is the line that begins so and goes on as one of its sentences does. */
const mark = `${name}: `;
const sentences = [
  "The wheel turns as long as the water runs, and the water runs while somebody watches.",
  "Type above or below: whoever has this page open sees each letter while it is written.",
  "Two who write at the same place at the same time lose nothing, and read the same in the end.",
  "Restart the hub while you type: what you write meanwhile waits here, and goes out when it is back.",
  "This paragraph writes itself, and makes room for the next one when it is done.",
] as const;
/** So many turns a sentence stands before the next one takes its place. */
const restTurns = 9;

export const openingText = `Notes that everyone writes

${mark}

Write whatever you like. Others see it at once, and can change it.

`;

/** The simulated writer: types one sentence word by word, and has the next one take its place. */
export class WriterAtWork {
  readonly #draft = new Draft(name);
  #sentence = 0;
  #rested = 0;

  load(state: TextState): void {
    this.#draft.load(state);
  }

  receive(edit: unknown): void {
    this.#draft.receive(edit);
  }

  /** What to publish in this turn; the same as last time, as long as it has not come back. */
  next(): Edit | undefined {
    if (this.#draft.sent) return this.#draft.sent;
    if (this.#draft.isSaved) {
      const change = this.#turn(this.#draft.text);
      if (change) this.#draft.write(change);
    }
    return this.#draft.take();
  }

  #turn(text: string): Change | undefined {
    const own = findParagraph(text);
    if (!own) {
      // Visitors may make of it what they like, and then it is theirs: but not a document of nothing else.
      if (lengthOf(text) > limits.text / 2) return undefined;
      const title = lengthOf(text.split("\n", 1)[0] ?? "");
      return title === 0 ? [`${mark}\n\n`] : [title, `\n\n${mark}`];
    }
    const { end, written } = own;
    const current = sentences[this.#sentence % sentences.length] ?? "";
    if (written !== "" && !current.startsWith(written))
      this.#sentence = sentences.findIndex((each) => each.startsWith(written));
    const sentence = sentences[this.#sentence % sentences.length] ?? "";
    if (written !== sentence) return [end, firstWord(sentence.slice(written.length))];
    if (this.#rested++ < restTurns) return undefined;
    this.#rested = 0;
    this.#sentence += 1;
    return [end - written.length, firstWord(sentences[this.#sentence % sentences.length] ?? ""), -written.length];
  }
}

/** Where its paragraph ends, in characters, and what it has of its sentence. One that visitors have changed is theirs. */
function findParagraph(text: string): { readonly end: number; readonly written: string } | undefined {
  let at = 0;
  for (const line of text.split("\n")) {
    at += lengthOf(line);
    const written = line.slice(mark.length);
    if (line.startsWith(mark) && sentences.some((sentence) => sentence.startsWith(written)))
      return { end: at, written };
    at += 1;
  }
  return undefined;
}

const firstWord = (text: string): string => /^\s*\S+/.exec(text)?.[0] ?? "";
