import { acrossTabs } from "millrace/client";

/** What the tests ask of an application, whichever library it is made with. */
export interface Props {
  readonly url: string | null;
  readonly reader?: string;
  /** A list for each, all on the connection of `url`. */
  readonly channels?: readonly string[];
  /** One list, whose channel changes. */
  readonly watched?: string | null;
  /** Changes with each render, and handlers note it. */
  readonly turn?: number;
  /** Components with connections of their own to this URL. */
  readonly own?: string | null;
  /** One connection for all tabs. */
  readonly shared?: boolean;
  /** Put away, with its state: by `Activity` in React, by `KeepAlive` in Vue. */
  readonly hidden?: boolean;
}

export interface Started {
  set(props: Props): void;
  unmount(): void;
}

export type Start = (container: Container, props: Props, isHydrated: boolean) => Started;

/** An element of the page: the tests are compiled without the types of the DOM. */
export type Container = object;

export interface Events {
  message: number;
  price: { readonly value: number };
  fault: number;
}

export const options = (turn: number, shared: boolean) => ({
  headers: { "X-Turn": String(turn) },
  backoff: { baseMs: 5, maxMs: 50 },
  share: shared ? acrossTabs() : undefined,
});

const notes = globalThis as { noted?: string[]; renders?: Record<string, number> };

/** For the test to read. */
export function note(...words: unknown[]): void {
  notes.noted ??= [];
  notes.noted.push(words.join(" "));
}

/** Counts what is rendered, and notes what must not be: events of another channel than the list is of. */
export function rendered(
  name: string,
  channel: string | null,
  events: readonly { readonly channel: string | undefined }[],
): void {
  notes.renders ??= {};
  notes.renders[name] = (notes.renders[name] ?? 0) + 1;
  if (events.some((event) => event.channel !== channel)) note("wrong", name);
}
