import { formatPosition, parsePosition } from "../../protocol/index.js";
import type { Located } from "../log.js";

/** One run of a Redis, as the log in it has it written down. Between two of them many sequences are left out. */
interface Epoch {
  readonly name: string;
  readonly first: number;
  /** The newest that was left of it when the next one began. Missing in the present one. */
  readonly last?: number;
  /** Whether entries of earlier epochs may have been lost when this one began. */
  readonly afterLoss: boolean;
}

/** The epochs of a log in Redis. Only the scripts begin one; here they are read. */
export class Epochs {
  readonly #list: readonly Epoch[];

  constructor(list: readonly Epoch[]) {
    this.#list = list;
  }

  get current(): string {
    return this.#list.at(-1)?.name ?? "";
  }

  /** Whether something may have been lost since an epoch was the present one. */
  lostSince(name: string): boolean {
    const at = this.#list.findIndex((epoch) => epoch.name === name);
    return at < 0 || this.#list.slice(at + 1).some(({ afterLoss }) => afterLoss);
  }

  position(sequence: number): string {
    let at = this.#list.length - 1;
    // What lies just before an epoch's first entry is its own: the gap between the epochs leaves no doubt.
    while (at > 0 && sequence < (this.#list[at] as Epoch).first - 1) at--;
    return formatPosition((this.#list[at] as Epoch).name, sequence);
  }

  locate(text: string, tail: number): Located {
    const position = parsePosition(text);
    const at = position ? this.#list.findLastIndex(({ name }) => name === position.epoch) : -1;
    const epoch = this.#list[at];
    if (!position || !epoch || position.sequence < epoch.first - 1) return { sequence: 0, lost: "yes" };
    const last = epoch.last ?? tail;
    // It has seen entries that are gone, so it has all that came before them.
    if (position.sequence > Math.max(last, epoch.first - 1)) return { sequence: last, lost: "yes" };
    return { sequence: position.sequence, lost: this.lostSince(epoch.name) ? "may" : "no" };
  }
}
