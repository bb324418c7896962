import type { ReceivedEvent } from "../client/index.js";
import { type AnyEvents, checkNumber, parseSelection, selects } from "../protocol/index.js";
import type { Link } from "./link.js";
import { Shown } from "./shown.js";

/** What is looked at: of which connection, which channel, and which of its events. */
export interface Look<E extends object = AnyEvents> {
  readonly link: Link<E>;
  /** A name or `prefix/*`; `*` is all that the connection reads. Null: nothing. */
  readonly channel: string | null;
  /** Undefined: each. */
  readonly type: string | undefined;
}

interface Recently<E extends object = AnyEvents> {
  readonly look: Look<E> | undefined;
  /** The newest last. */
  readonly events: readonly ReceivedEvent<E>[];
  /** Why the server does not give the channel. */
  readonly refusal: Error | undefined;
}

/** The last events of a channel, in one change per frame: a burst of a thousand is drawn once. */
export class Recent<E extends object = AnyEvents> {
  readonly shown = new Shown<Recently<E>>({ look: undefined, events: [], refusal: undefined });
  /** What has come since the last frame; undefined when nothing has. */
  #fresh: ReceivedEvent<E>[] | undefined;
  #keep = 50;

  /** How many events stay. @throws MillraceError `invalid_option` */
  keep(count: number): void {
    checkNumber("keep", count, 1, Infinity);
    this.#keep = count;
    const { events } = this.shown.value();
    if (events.length > count) this.#change({ events: events.slice(-count) });
  }

  /**
   * Begins with an empty list: what came while nobody looked is not in it, and would be a hole.
   * @returns what ends it
   * @throws MillraceError `invalid_channel`
   */
  follow(look: Look<E>): () => void {
    const { link, channel, type } = look;
    this.#fresh = undefined;
    this.shown.show({ look, events: [], refusal: undefined });
    if (channel === null) return () => {};
    const all = channel === "*";
    const selection = all ? undefined : parseSelection([channel]);
    const forget = link.on("*", (event: ReceivedEvent<E>) => {
      // A server that is no hub names no channels: what it sends is what it was asked for.
      const here = !selection || event.channel === undefined || selects(selection, event.channel);
      if (here && (type === undefined || event.type === type)) this.#take(event, link);
    });
    const leave = all ? undefined : link.channels.use(channel, (refusal) => this.#change({ refusal }));
    // Another reader must not see the events of the one before.
    const forgetStream = link.stream.watch(() => {
      this.#fresh = undefined;
      this.#change({ events: [] });
    });
    return () => {
      forget();
      leave?.();
      forgetStream();
    };
  }

  #take(event: ReceivedEvent<E>, { nextFrame }: Link<E>): void {
    if (this.#fresh) {
      this.#fresh.push(event);
      if (this.#fresh.length > this.#keep) this.#fresh.shift();
      return;
    }
    const fresh = [event];
    this.#fresh = fresh;
    nextFrame.run(() => {
      if (this.#fresh !== fresh) return; // it has begun anew
      this.#fresh = undefined;
      this.#change({ events: [...this.shown.value().events, ...fresh].slice(-this.#keep) });
    });
  }

  #change(change: Partial<Recently<E>>): void {
    this.shown.show({ ...this.shown.value(), ...change });
  }
}

/** Whether the view is of what is looked at now: after a change it is still that of before, until the next effect. */
export function isOf<E extends object>({ look }: Recently<E>, { link, channel, type }: Look<E>): boolean {
  return look !== undefined && look.link === link && look.channel === channel && look.type === type;
}
