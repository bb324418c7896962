/** A value that screens show. It is replaced and never changed: so whoever compares two sees what is new. */
export class Shown<T> {
  #value: T;
  readonly #watchers = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  /** The same one until something is new. */
  readonly value = (): T => this.#value;

  /** Calls at each change. Answers with a function that ends it. */
  readonly watch = (changed: () => void): (() => void) => {
    const own = () => changed();
    this.#watchers.add(own);
    return () => {
      this.#watchers.delete(own);
    };
  };

  show(value: T): void {
    this.#value = value;
    for (const changed of [...this.#watchers]) changed();
  }
}
