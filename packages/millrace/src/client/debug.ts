import { MillraceError } from "../protocol/index.js";
import type { Subscription } from "./subscription.js";

/** What an `EventSource` has, the browser's own or that of this package. */
interface EventSourceLike {
  readonly url: string;
  readonly readyState: number;
  addEventListener(type: string, listener: (event: never) => void, ...rest: never[]): void;
}

export interface DebugOptions {
  /** Where the lines go. Default `console.log`. */
  readonly log?: ((...what: unknown[]) => void) | undefined;
  /** Names of events that an `EventSource` is to be listened to for; those that the page listens to are known. */
  readonly events?: readonly string[] | undefined;
}

interface Seen {
  readonly type: string;
  readonly data?: unknown;
  readonly lastEventId?: string;
  readonly message?: string;
}

const states = ["connecting", "open", "closed"];

/**
 * Logs what a stream does: its opening, its errors, and each event with its type, its id and its data. It takes what
 * `connect` answers with, and an `EventSource`, the browser's own too; and answers with the same.
 *
 *     const stream = debug(new EventSource("/events?channel=prices"), { events: ["halt"] });
 *
 * @throws MillraceError `invalid_option` when it is neither
 */
export function debug<S extends { readonly url: string }>(source: S, options: DebugOptions = {}): S {
  const { log = console.log, events = [] } = options;
  const say = (what: string, ...rest: unknown[]) => log(`${new Date().toISOString()} ${source.url} ${what}`, ...rest);
  if ("reconnect" in source) follow(source as unknown as Subscription, say);
  else if ("addEventListener" in source) listen(source as unknown as EventSourceLike, say, events);
  else throw new MillraceError("invalid_option", "debug takes an EventSource, or what connect answers with");
  return source;
}

type Say = (what: string, ...rest: unknown[]) => void;

function follow(stream: Subscription, say: Say): void {
  stream.on("state", ({ state, waitMs, error, reason }) => {
    const why = error?.message ?? reason;
    const wait = waitMs === undefined ? "" : ` for ${Math.round(waitMs)} ms`;
    say(`${state}${wait}${why === undefined ? "" : `: ${why}`}`);
  });
  stream.on("error", ({ error, event }) => event && say(`error: ${error.message}`, event.data));
  stream.on("gap", ({ reason, may, channels }) => say("gap", { reason, may, channels }));
  stream.on("*", ({ type, id, channel, data }) =>
    say(`${type} ${id}${channel === undefined ? "" : ` on ${channel}`}`, data),
  );
}

function listen(source: EventSourceLike, say: Say, events: readonly string[]): void {
  const known = new Set(["open", "error"]);
  const add = source.addEventListener.bind(source);
  const hear = (type: string) => {
    if (known.has(type)) return;
    known.add(type);
    add(type, ({ data, lastEventId }: Seen) => say(`${type} ${lastEventId}`, parsed(data)));
  };
  add("open", () => say("open"));
  add("error", ({ message }: Seen) => say(`error, ${states[source.readyState]}${message ? `: ${message}` : ""}`));
  for (const type of ["message", ...events]) hear(type);
  // An EventSource tells nobody which names its events have. What the page listens to is what it knows of them.
  source.addEventListener = (type: string, ...rest: [(event: never) => void, ...never[]]) => {
    hear(type);
    add(type, ...rest);
  };
}

function parsed(data: unknown): unknown {
  try {
    return JSON.parse(String(data));
  } catch {
    return data;
  }
}
