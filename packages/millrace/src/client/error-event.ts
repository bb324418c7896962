import type { WebEvent } from "./web-types.js";

// Where there is no such class, importing this must do no harm: only using it needs one.
const Base = (globalThis.Event ?? class {}) as unknown as new (type: string) => WebEvent;

/** The event that `onerror` gets: with what is known of the cause, which the standard keeps to itself. */
export class ErrorEvent extends Base {
  /** The status that the server has answered with; undefined when it was no answer that failed. */
  code?: number | undefined;
  /** Words for people. */
  message?: string | undefined;

  constructor(type: string, init: { code?: number | undefined; message?: string | undefined } = {}) {
    super(type);
    this.code = init.code;
    this.message = init.message;
    // Node and Deno show the standard's members of an event only.
    const inspect = (_depth: number, options: unknown, inspect: (value: unknown, options: unknown) => string) =>
      inspect({ type, code: this.code, message: this.message }, options);
    for (const name of ["nodejs.util.inspect.custom", "Deno.customInspect"]) {
      Object.defineProperty(this, Symbol.for(name), { value: inspect });
    }
  }
}

/** The words of an error and of its causes: `fetch failed` alone helps nobody. */
export function messageOf(error: unknown, depth = 0): string {
  if (!(error instanceof Error)) return String(error);
  const causes: unknown[] = error instanceof AggregateError ? error.errors : [error.cause ?? []].flat();
  const deeper = depth < 5 ? causes.map((cause) => messageOf(cause, depth + 1)) : []; // a cause may be its own
  return [error.message, ...deeper].filter((text) => text !== "").join(": ");
}
