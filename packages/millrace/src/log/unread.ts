import type { Selection } from "../protocol/index.js";
import type { Channels, KeyedChannel } from "./channels.js";
import type { Entry } from "./entry.js";
import type { MaybePromise } from "./log.js";
import { mergeAfter, type Ref } from "./merge.js";

/** How much is read at once: others read in between. */
const readBytes = 512 * 1024;

/** Reads the keys that a start left unread, once a conflated read needs them. */
export class UnreadKeys {
  readonly #channels: Channels;
  readonly #read: (refs: readonly Ref[]) => MaybePromise<Entry[]>;
  #before: Promise<void> = Promise.resolve();

  constructor(channels: Channels, read: (refs: readonly Ref[]) => MaybePromise<Entry[]>) {
    this.#channels = channels;
    this.#read = read;
  }

  /** Undefined when all keys of the selection behind `after` are known; else resolves once they are. */
  learn(selection: Selection, after: number): Promise<void> | undefined {
    if (this.#channels.unread(selection, after).length === 0) return undefined;
    // One behind the other: of a thousand who come back and ask for the same, one reads it.
    const learnt = this.#before.then(() => this.#learn(this.#channels.unread(selection, after), after));
    this.#before = learnt.catch(() => {});
    return learnt;
  }

  async #learn(channels: readonly KeyedChannel[], after: number): Promise<void> {
    const byName = new Map(channels.map((channel) => [channel.name, channel]));
    const through = Math.max(0, ...channels.map(({ latest }) => latest.unreadThrough));
    for (let from = after; from < through; ) {
      const { refs, done } = mergeAfter(channels, from, readBytes);
      for (const { channel, key, sequence } of await this.#read(refs)) {
        const { ring, latest } = byName.get(channel) as KeyedChannel;
        const index = ring.indexOf(sequence);
        if (key !== undefined && index >= 0) latest.learn(index, key);
      }
      from = done ? through : (refs.at(-1) as Ref).sequence;
    }
    for (const { latest } of channels) latest.unreadThrough = Math.min(latest.unreadThrough, after);
  }
}
