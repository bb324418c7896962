const wordBits = 32;

/** So few keys are not worth a new generation. */
const fewKeys = 16;

/** A shorter text is never a part of a longer one: V8 copies it. */
const partLength = 13;

/** In place of the key of an entry that was found on the disk: to read all keys would double the time of a start. */
export const unread = Symbol("unread");

/**
 * Which entries of a channel have a newer one with the same key: a conflated read leaves them out. One bit an entry,
 * beside the channel's ring, looked at a word at a time: of a million entries with a thousand keys it visits a thousand.
 * A channel has it from its first key on.
 *
 * Keys are remembered in two generations. Once all that the older one knows of was dropped, it goes as a whole: to find
 * out at each drop whether a key goes with it would take a second index.
 */
export class Latest {
  /** Newest sequence that was dropped while nothing newer had its key: what a conflated cursor before it has missed. */
  droppedThrough: number;
  /** `Channels.drops` when that happened. */
  droppedAt: number;
  /** Keys of entries up to here may be unread: such an entry passes for the latest, also when it is dropped. */
  unreadThrough = 0;
  #bits = new Uint32Array(1);
  /** Entries are numbered as they come: the oldest that is retained, and the next. */
  #first = 0;
  #next = 0;
  #young = new Map<string, number>();
  #old: Map<string, number> | undefined;
  /** `#old` knows of no entry from this one on. */
  #turn: number;

  /** @param entries how many the channel has, all without a key */
  constructor(entries: number, droppedThrough: number, droppedAt: number) {
    this.#resize(entries);
    this.#next = entries;
    this.#turn = entries;
    this.droppedThrough = droppedThrough;
    this.droppedAt = droppedAt;
  }

  push(key: string | undefined | typeof unread, sequence: number): void {
    if (this.#length === this.#capacity) this.#resize(this.#capacity * 2);
    this.#next++;
    if (key === unread) this.unreadThrough = sequence;
    else if (key !== undefined) this.learn(this.#length - 1, key);
  }

  /** The key of the entry at this index of the ring. They may be learnt in any order, and twice. */
  learn(index: number, key: string): void {
    const entry = this.#first + index;
    const young = this.#young.get(key);
    const known = young ?? this.#old?.get(key) ?? -1;
    if (known > entry) set(this.#bits, entry);
    if (known >= entry) return;
    if (known >= this.#first) set(this.#bits, known);
    // A key that was cut out of a request's body would keep all of the body.
    const own = young !== undefined || key.length < partLength ? key : Buffer.from(key).toString();
    this.#young.set(own, entry);
  }

  /** The oldest is dropped. */
  shift(sequence: number, drops: number): void {
    if (this.has(0)) clear(this.#bits, this.#first);
    else {
      this.droppedThrough = sequence;
      this.droppedAt = drops;
    }
    this.#first++;
    if (this.#first >= this.#turn) this.#turnOver();
    if (this.#capacity > 1024 && this.#length * 5 < this.#capacity * 2) this.#resize(this.#capacity / 2);
  }

  /** Whether a newer entry has the key of the one at this index of the ring. */
  has(index: number): boolean {
    return isSet(this.#bits, this.#first + index);
  }

  /** The first index from this one on without a newer entry; the ring's length when there is none. */
  skipFrom(index: number): number {
    const length = this.#length;
    for (let at = index; at < length; ) {
      const slot = (this.#first + at) % this.#capacity;
      const bit = slot % wordBits;
      const rest = ~(this.#bits[slot >>> 5] as number) >>> bit;
      if (rest !== 0) return Math.min(length, at + 31 - Math.clz32(rest & -rest));
      at += wordBits - bit;
    }
    return length;
  }

  get #length(): number {
    return this.#next - this.#first;
  }

  get #capacity(): number {
    return this.#bits.length * wordBits;
  }

  #turnOver(): void {
    this.#old = undefined;
    if (this.#young.size <= fewKeys) return;
    if (this.#length > 0) this.#old = this.#young;
    this.#young = new Map();
    this.#turn = this.#next;
  }

  /** Capacities are powers of two, so that little is copied. */
  #resize(entries: number): void {
    let words = 1;
    while (words * wordBits < entries) words *= 2;
    const bits = new Uint32Array(words);
    for (let entry = this.#first; entry < this.#next; entry++) if (isSet(this.#bits, entry)) set(bits, entry);
    this.#bits = bits;
  }
}

function isSet(bits: Uint32Array, entry: number): boolean {
  const slot = entry % (bits.length * wordBits);
  return (((bits[slot >>> 5] as number) >>> (slot & 31)) & 1) === 1;
}

function set(bits: Uint32Array, entry: number): void {
  const slot = entry % (bits.length * wordBits);
  bits[slot >>> 5] = (bits[slot >>> 5] as number) | (1 << (slot & 31));
}

function clear(bits: Uint32Array, entry: number): void {
  const slot = entry % (bits.length * wordBits);
  bits[slot >>> 5] = (bits[slot >>> 5] as number) & ~(1 << (slot & 31));
}
