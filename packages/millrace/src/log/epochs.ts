import { randomBytes } from "node:crypto";
import { formatPosition, parsePosition } from "../protocol/index.js";
import type { Located } from "./log.js";

/** One run of a writer: it covers the sequences from `first` to the one before the next epoch's first. */
export interface Epoch {
  readonly name: string;
  readonly first: number;
  /** Whether entries of earlier epochs may have been lost when this one began, unknown to anyone. */
  readonly afterLoss: boolean;
}

/** So many restarts are remembered; a cursor from before is treated as unknown. */
const maxEpochs = 1000;

/** Which epoch covers which sequences: what makes a lost tail visible. */
export class Epochs {
  #list: Epoch[];

  constructor(list: readonly Epoch[] = []) {
    this.#list = [...list];
  }

  get list(): readonly Epoch[] {
    return this.#list;
  }

  get current(): Epoch {
    return this.#list.at(-1) as Epoch;
  }

  /** This list with a new epoch whose first entry will be `first`. */
  begin(first: number, afterLoss: boolean): Epochs {
    const last = this.#list.at(-1);
    // A run that wrote nothing gave nobody a position. A hub that restarts every second must not make itself forget.
    const idle = this.#list.length > 1 && last?.first === first && !afterLoss;
    const before = idle ? this.#list.slice(0, -1) : this.#list;
    // What an earlier epoch covered behind here is lost, and the sequences are given out again, under the new name.
    const earlier = before.slice(1 - maxEpochs).map((epoch) => ({ ...epoch, first: Math.min(epoch.first, first) }));
    const name = (randomBytes(6).readUIntBE(0, 6) % 36 ** 8).toString(36).padStart(8, "0");
    return new Epochs([...earlier, { name, first, afterLoss: afterLoss || (idle && last.afterLoss) }]);
  }

  position(sequence: number): string {
    let at = this.#list.length - 1;
    while (at > 0 && (this.#list[at] as Epoch).first > sequence) at--;
    return formatPosition((this.#list[at] as Epoch).name, sequence);
  }

  locate(text: string, tail: number): Located {
    const position = parsePosition(text);
    const at = position ? this.#list.findLastIndex((epoch) => epoch.name === position.epoch) : -1;
    const epoch = this.#list[at];
    if (!position || !epoch || position.sequence < epoch.first - 1) return { sequence: 0, lost: "yes" };
    const last = (this.#list[at + 1]?.first ?? tail + 1) - 1;
    // The client has seen entries that are gone. It has all that came before them, so it goes on from there.
    if (position.sequence > last) return { sequence: last, lost: "yes" };
    const lossSince = this.#list.slice(at + 1).some((later) => later.afterLoss);
    return { sequence: position.sequence, lost: lossSince ? "may" : "no" };
  }
}
