/** Lets readers wait for the next commit. */
export class Wake {
  readonly #waiting = new Set<() => void>();
  closed = false;

  /** Resolves at the next commit, at the hub's end, or when the signal fires. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      if (signal.aborted || this.closed) return resolve();
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
    });
  }

  now(): void {
    for (const done of this.#waiting) done();
  }

  close(): void {
    this.closed = true;
    this.now();
  }
}
