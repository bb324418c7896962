import { randomUUID } from "node:crypto";
import type { Millrace } from "millrace";
import { createParser, parseSelection } from "millrace/protocol";
import { every } from "millrace/sources";
import { openingText, WriterAtWork } from "./document-writer.js";
import { type Edit, SharedText, type TextState } from "./text/shared-text.js";

/** What a page begins with: the text, and the position that its edits follow. */
export interface DocumentState {
  readonly position: string;
  readonly state: Required<TextState>;
}

export const documentChannel = "demo/document";
/** Where the state is written down from time to time: edits are kept for a day, and the text is older than that. */
const stateChannel = "demo/document/state";
/** A reserved name: nobody can publish a state over HTTP, so that which is found in the log is the hub's own. */
const stateEvent = "millrace.state";

const tickMs = 5_000;
const writeMs = 700;
/** The state is written down after so many edits, and after so long, with or without: before retention takes the last one. */
const stateEdits = 10;
const stateAgeMs = 30_000;
/** How many entries of the channel of states are looked through for the last one: others may publish there, too. */
const lookedBack = 100;
const limitBytes = 1024 * 1024;

/**
 * The document that all visitors write. The log has its edits, in order, and is all that there is of it: this reads them,
 * as every page does, so that a page that comes need not read them all.
 *
 * When edits are gone that should be there, as after a day without a start, or a power cut, pages may know some that
 * nobody else does. Then a new era begins, from the text that is known, and the channel says so to all who follow it.
 */
export class SharedDocument {
  readonly #hub: Millrace;
  readonly #onFailure: (error: Error) => void;
  readonly #writer = new WriterAtWork();
  #text = new SharedText({ era: "", text: "" });
  /** Sequence of the last entry that the text has. */
  #after = 0;
  #knownDrops = -1;
  #saved = { version: 0, timeMs: 0 };
  #turn: Promise<void>;

  constructor(hub: Millrace, onFailure: (error: Error) => void) {
    this.#hub = hub;
    this.#onFailure = onFailure;
    this.#turn = this.#begin();
    this.#turn.catch(() => {}); // who reads is told
  }

  /** The text with all edits that have been published so far. */
  async read(): Promise<DocumentState> {
    await this.#inTurn(() => this.#follow());
    return { position: this.#hub.log.position(this.#after), state: this.#text.toJSON() };
  }

  /** Keeps the state up to date, and has the simulated writer write while somebody looks, until the signal fires. */
  start(signal: AbortSignal): void {
    const keep = async () => {
      for await (const _ of every(tickMs, () => true, { signal })) await this.#inTurn(() => this.#keep()).catch(failed);
    };
    const failed = (error: Error) => {
      if (!signal.aborted) this.#onFailure(error);
    };
    void keep();
    this.#hub.whileWatched(documentChannel, async ({ signal: unwatched }) => {
      for await (const _ of every(writeMs, () => true, { signal: unwatched })) await this.#write().catch(failed);
    });
  }

  /** One after the other: reading the log may wait for the disk. One that fails does not keep the next from trying. */
  #inTurn(act: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.catch(() => this.#begin()).then(act);
    this.#turn.catch(() => {});
    return this.#turn;
  }

  async #begin(): Promise<void> {
    const { log } = this.#hub;
    let last: (TextState & { readonly position: string }) | undefined;
    this.#knownDrops = log.drops; // of states older ones may be gone
    await this.#read(stateChannel, await log.rewind(parseSelection([stateChannel]), lookedBack), (type, data) => {
      if (type === stateEvent) last = data as typeof last;
    });
    this.#knownDrops = -1;
    this.#text = new SharedText(last ?? { era: "", text: openingText });
    const { sequence, lost } = last ? log.locate(last.position) : { sequence: log.tail, lost: "yes" };
    this.#after = sequence;
    if (lost === "no") await this.#follow();
    else await this.#beginEra();
    this.#writer.load(this.#text.toJSON());
  }

  async #follow(): Promise<void> {
    const { next, gap } = await this.#read(documentChannel, this.#after, (type, data) => {
      if (type === stateEvent) {
        this.#text = new SharedText(data as TextState);
        this.#writer.load(data as TextState);
      } else if (type === "edit") {
        this.#text.receive(data);
        this.#writer.receive(data);
      }
    });
    this.#after = next;
    if (gap) await this.#beginEra();
  }

  /** Everyone who follows takes the text as it is said here, and edits from before are no longer made. */
  async #beginEra(): Promise<void> {
    this.#text = new SharedText({ ...this.#text.toJSON(), era: randomUUID(), recent: [] });
    this.#after = await this.#append(documentChannel, this.#text.toJSON());
    this.#writer.load(this.#text.toJSON());
    await this.#save();
  }

  async #keep(): Promise<void> {
    await this.#follow();
    const { version, timeMs } = this.#saved;
    if (this.#text.version - version >= stateEdits || Date.now() - timeMs >= stateAgeMs) await this.#save();
  }

  async #save(): Promise<void> {
    const position = this.#hub.log.position(this.#after);
    await this.#append(stateChannel, { position, ...this.#text.toJSON() });
    this.#saved = { version: this.#text.version, timeMs: Date.now() };
  }

  async #write(): Promise<void> {
    await this.#inTurn(() => this.#keep());
    const edit = this.#writer.next();
    if (edit) await this.#publish(edit);
  }

  /** As a page does it. Tried again it is the same, and not made twice. */
  async #publish(edit: Edit): Promise<void> {
    const idempotencyKey = `document/${edit.author}/${edit.count}`;
    await this.#hub.publish({ channel: documentChannel, event: "edit", data: edit }, { idempotencyKey });
  }

  /** Past `publish`, which refuses reserved names to everyone. Answers the entry's sequence. */
  async #append(channel: string, state: object): Promise<number> {
    const event = { channel, event: stateEvent, data: JSON.stringify(state), json: true, key: undefined };
    const { first } = await this.#hub.log.append([{ ...event, retry: undefined }]);
    return first;
  }

  /** Reads a channel to its end. Answers how far that was, and whether entries were missing. */
  async #read(channel: string, from: number, take: (type: string, data: unknown) => void) {
    const { log } = this.#hub;
    const selection = parseSelection([channel]);
    const parser = createParser({ onEvent: ({ type, data }) => take(type, JSON.parse(data)) });
    let after = from;
    do {
      const { drops } = log;
      const request = { selection, after, limitBytes, knownDrops: this.#knownDrops };
      const { entries, next, gap } = await log.read(request);
      // Not what follows a hole: it was made of a text that is not known here.
      if (gap) {
        this.#knownDrops = drops;
        return { next: log.tail, gap: true };
      }
      for (const { json, bytes, start, end } of entries) if (json) parser.feed(bytes.subarray(start, end));
      after = next;
    } while (after < log.tail);
    return { next: after, gap: false };
  }
}
