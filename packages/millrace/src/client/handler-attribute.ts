import type { WebEvent } from "./web-types.js";

interface Target {
  addEventListener(type: string, listener: (event: WebEvent) => unknown): void;
  removeEventListener(type: string, listener: (event: WebEvent) => unknown): void;
}

/**
 * An event handler attribute such as `onopen` (WHATWG HTML, "Event handlers"). Its place among the listeners is where it
 * was first set; another handler takes over that place, null gives it up.
 */
export class HandlerAttribute<Handler> {
  readonly #target: Target;
  readonly #type: string;
  #handler: Handler | null = null;

  constructor(target: Target, type: string) {
    this.#target = target;
    this.#type = type;
  }

  get(): Handler | null {
    return this.#handler;
  }

  /** What is neither a function nor an object counts as null; an object is kept, and never called. */
  set(value: Handler | null): void {
    const handler = typeof value === "function" || typeof value === "object" ? value : null;
    if (handler === null) this.#target.removeEventListener(this.#type, this.#listener);
    else if (this.#handler === null) this.#target.addEventListener(this.#type, this.#listener);
    this.#handler = handler;
  }

  /** Answers with what the handler does: Node reports a promise that rejects. */
  readonly #listener = (event: WebEvent): unknown =>
    typeof this.#handler === "function" ? this.#handler.call(this.#target, event) : undefined;
}
