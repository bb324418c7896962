import { prefixesOf, type Selection } from "../protocol/index.js";

const none: ReadonlySet<never> = new Set();

/** Values by the channels that their selections hold. */
export class ByChannel<V> {
  readonly #exact = new Map<string, Set<V>>();
  readonly #prefixes = new Map<string, Set<V>>();

  add({ exact, prefixes }: Selection, value: V): void {
    for (const channel of exact) add(this.#exact, channel, value);
    for (const prefix of prefixes) add(this.#prefixes, prefix, value);
  }

  delete({ exact, prefixes }: Selection, value: V): void {
    for (const channel of exact) remove(this.#exact, channel, value);
    for (const prefix of prefixes) remove(this.#prefixes, prefix, value);
  }

  /** Calls `visit` once with each value whose selection holds the channel. */
  holding(channel: string, visit: (value: V) => void): void {
    for (const value of this.#exact.get(channel) ?? none) visit(value);
    if (this.#prefixes.size === 0) return;
    for (const prefix of prefixesOf(channel)) for (const value of this.#prefixes.get(prefix) ?? none) visit(value);
  }

  /** The channels that selections name: not those that only a prefix holds, which nobody can list. */
  named(): Iterable<string> {
    return this.#exact.keys();
  }

  names(channel: string): boolean {
    return this.#exact.has(channel);
  }

  holds(channel: string): boolean {
    return this.names(channel) || prefixesOf(channel).some((prefix) => this.#prefixes.has(prefix));
  }
}

function add<V>(index: Map<string, Set<V>>, key: string, value: V): void {
  const values = index.get(key);
  if (values) values.add(value);
  else index.set(key, new Set([value]));
}

function remove<V>(index: Map<string, Set<V>>, key: string, value: V): void {
  const values = index.get(key);
  values?.delete(value);
  if (values?.size === 0) index.delete(key);
}
