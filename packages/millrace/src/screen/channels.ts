import { covers } from "../protocol/index.js";

/** What of a subscription is needed here. */
interface Selecting {
  readonly channels: readonly string[];
  add(...channels: string[]): Promise<void>;
  drop(...channels: string[]): Promise<void>;
}

type Refused = (error: Error) => void;

/** What has been asked for on one subscription. */
interface Asked {
  readonly subscription: Selecting;
  /** What it reads without anybody here. */
  readonly own: ReadonlySet<string>;
  readonly added: Set<string>;
  readonly refused: Map<string, Error>;
  settling: boolean;
}

/**
 * The channels that screens look at, on whatever subscription there is: each is added for the first of its users, and
 * dropped after the last.
 */
export class Channels {
  readonly #users = new Map<string, Set<Refused>>();
  #asked: Asked | undefined;
  #scheduled = false;

  /** Answers with a function that ends it. `onRefused` is told when the server does not give the channel. */
  use(channel: string, onRefused: Refused): () => void {
    const users = this.#users.get(channel) ?? new Set();
    const user: Refused = (error) => onRefused(error);
    this.#users.set(channel, users.add(user));
    const refusal = this.#asked?.refused.get(channel);
    // The first user after others have gone asks anew; whoever joins those that were refused is refused, too.
    if (refusal && users.size > 1) onRefused(refusal);
    this.settle();
    return () => {
      users.delete(user);
      if (users.size > 0 || this.#users.get(channel) !== users) return;
      this.#users.delete(channel);
      this.#asked?.refused.delete(channel);
      this.settle();
    };
  }

  /** From now on the channels are those of this subscription. */
  follow(subscription: Selecting | undefined): void {
    this.#asked = subscription && {
      subscription,
      own: new Set(subscription.channels),
      added: new Set(),
      refused: new Map(),
      settling: false,
    };
  }

  /**
   * Brings the subscription up to the users, in a task of its own: what comes and goes within one task is no change. One
   * request after the other: two under way could overtake each other.
   */
  settle(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#settle();
    });
  }

  async #settle(): Promise<void> {
    const asked = this.#asked;
    if (!asked || asked.settling) return;
    asked.settling = true;
    while (asked === this.#asked) {
      const missing = [...this.#users.keys()].filter(
        (channel) => !asked.own.has(channel) && !asked.added.has(channel) && !asked.refused.has(channel),
      );
      const unused = missing.length > 0 ? [] : this.#unused(asked);
      if (missing.length > 0) await this.#add(asked, missing);
      else if (unused.length > 0) await drop(asked, unused);
      else break;
    }
    asked.settling = false;
  }

  async #add(asked: Asked, channels: readonly string[]): Promise<void> {
    for (const channel of channels) asked.added.add(channel);
    try {
      await asked.subscription.add(...channels);
    } catch (error) {
      for (const channel of channels) asked.added.delete(channel);
      const [channel, ...others] = channels;
      if (channel === undefined) return;
      // Of several, one that is not allowed refuses them all.
      if (others.length > 0) for (const each of channels) await this.#add(asked, [each]);
      else {
        asked.refused.set(channel, error as Error);
        for (const refused of this.#users.get(channel) ?? []) refused(error as Error);
      }
    }
  }

  /**
   * What nobody looks at any more, but for what has to stay: with `a/*` a hub drops `a/b` as well, and a stream without
   * any channel would be one of the channel `general`.
   */
  #unused({ own, added }: Asked): string[] {
    const used = [...own, ...this.#users.keys()];
    if (used.length === 0) return [];
    return [...added].filter(
      (channel) =>
        !this.#users.has(channel) &&
        !(channel.endsWith("*") && used.some((name) => covers(channel.slice(0, -1), name))),
    );
  }
}

async function drop({ subscription, added }: Asked, channels: readonly string[]): Promise<void> {
  for (const channel of channels) added.delete(channel);
  try {
    await subscription.drop(...channels);
  } catch {
    // What still comes of it reaches nobody.
  }
}
