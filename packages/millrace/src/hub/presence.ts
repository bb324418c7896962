import { assertChannel, isPersonalChannel } from "../protocol/index.js";
import type { Connections } from "./connections.js";
import type { Group, Groups } from "./groups.js";
import { broadcastChannel } from "./notify.js";
import type { Subscriber } from "./subscriber.js";

/** Which connections; without a member, all. */
export interface ConnectionFilter {
  /** Those that read this channel, by its name or by a prefix. */
  readonly channel?: string;
  /** Those of this user. */
  readonly user?: string;
}

/** Who reads a channel: connections, and readers of the program's own. Worked out from the groups when it is asked. */
export class Presence {
  readonly #connections: Connections;
  readonly #groups: Groups<Subscriber>;
  readonly #readers: Groups<never>;

  constructor(connections: Connections, groups: Groups<Subscriber>, readers: Groups<never>) {
    this.#connections = connections;
    this.#groups = groups;
    this.#readers = readers;
  }

  /** @throws MillraceError `invalid_channel` */
  connections({ channel, user }: ConnectionFilter): Iterable<Subscriber> {
    const all = user === undefined ? this.#connections.all() : this.#connections.ofUser(user);
    if (channel === undefined) return all;
    assertReadable(channel);
    if (isPersonalChannel(channel)) {
      const own = new Set(this.#connections.reading(channel));
      return filter(all, (subscriber) => own.has(subscriber));
    }
    const groups = new Set<Group<Subscriber>>();
    this.#groups.reading(channel, (group) => groups.add(group));
    return filter(all, ({ group }) => groups.has(group));
  }

  /** @throws MillraceError `invalid_channel` */
  watchers(channel: string): number {
    assertReadable(channel);
    let count = 0;
    const add = ({ members }: { members: number }) => {
      count += members;
    };
    this.#readers.byChannel.holding(channel, add);
    if (isPersonalChannel(channel)) count += [...this.#connections.reading(channel)].length;
    else this.#groups.reading(channel, add);
    return count;
  }

  /** Whether a selection names the channel; `byPrefix`: or holds it by a prefix. */
  isWatched(channel: string, byPrefix: boolean): boolean {
    return [this.#groups, this.#readers].some(({ byChannel }) =>
      byPrefix ? byChannel.holds(channel) : byChannel.names(channel),
    );
  }

  /** The channels that selections name. */
  *named(): Generator<string> {
    yield* this.#groups.byChannel.named();
    yield* this.#readers.byChannel.named();
  }
}

function assertReadable(channel: string): void {
  if (channel !== broadcastChannel) assertChannel(channel);
}

function* filter<T>(all: Iterable<T>, test: (one: T) => boolean): Generator<T> {
  for (const one of all) if (test(one)) yield one;
}
