import { covers, prefixesOf } from "../protocol/index.js";

const maxPrefixes = 1000;

/** Which channels a prefix selects. A prefix is worked out when first asked for and kept up to date from then on. */
export class Members<T extends { readonly name: string }> {
  readonly #all: ReadonlyMap<string, T>;
  readonly #byPrefix = new Map<string, Set<T>>();

  constructor(all: ReadonlyMap<string, T>) {
    this.#all = all;
  }

  of(prefix: string): ReadonlySet<T> {
    let members = this.#byPrefix.get(prefix);
    if (!members) {
      members = new Set();
      for (const [name, channel] of this.#all) if (covers(prefix, name)) members.add(channel);
      if (this.#byPrefix.size >= maxPrefixes) this.#byPrefix.clear();
      this.#byPrefix.set(prefix, members);
    }
    return members;
  }

  add(channel: T): void {
    for (const prefix of this.#knownPrefixes(channel.name)) this.#byPrefix.get(prefix)?.add(channel);
  }

  delete(channel: T): void {
    for (const prefix of this.#knownPrefixes(channel.name)) this.#byPrefix.get(prefix)?.delete(channel);
  }

  #knownPrefixes(name: string): string[] {
    return this.#byPrefix.size === 0 ? [] : prefixesOf(name);
  }
}
