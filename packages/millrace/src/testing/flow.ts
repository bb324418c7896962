import { checkNumber, checkOptionKinds } from "../protocol/index.js";

/** In pieces of so many bytes, each in a packet of its own. */
export interface Trickle {
  /** Default 1. */
  readonly bytes?: number | undefined;
  /** Pause between two of them, in milliseconds. Default 1. */
  readonly everyMs?: number | undefined;
}

/** How bytes go to the client; when nothing is said, at once. */
export interface Manner {
  /** Nothing goes. */
  readonly stalls?: boolean;
  /** So many are kept back until there are as many, or until the end. */
  readonly holdBytes?: number | undefined;
  /** The connection is cut when so many of an answer's body have gone. */
  readonly cutAfterBytes?: number | undefined;
  readonly trickle?: Trickle | undefined;
}

/** The manner of all answers of a server; it may change while they are under way. */
export class Flow {
  readonly #listeners = new Set<() => void>();
  #manner: Manner = {};

  get manner(): Manner {
    return this.#manner;
  }

  /** @throws MillraceError `invalid_option` */
  change(manner: Manner): void {
    checkManner(manner);
    this.#manner = manner;
    for (const listener of this.#listeners) listener();
  }

  /** Answers with a function that takes the listener away. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** @throws MillraceError `invalid_option` */
export function checkManner({ holdBytes, cutAfterBytes, trickle = {} }: Manner): void {
  checkOptionKinds("trickle", trickle, { bytes: ["number"], everyMs: ["number"] });
  checkNumber("trickle.bytes", trickle.bytes, 1, Infinity);
  checkNumber("trickle.everyMs", trickle.everyMs, 0, Infinity);
  checkNumber("holdBytes", holdBytes, 0, Infinity);
  checkNumber("cutAfterBytes", cutAfterBytes, 0, Infinity);
}
