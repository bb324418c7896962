import { covers } from "../protocol/index.js";

/** What of a subscription is needed here. */
interface Selecting {
  readonly channels: readonly string[];
  add(...channels: string[]): Promise<void>;
  drop(...channels: string[]): Promise<void>;
}

/** Told why the server does not give a channel, and with undefined when it does after all. */
type OnRefused = (refusal: Error | undefined) => void;

/** What has been asked for on one subscription. */
interface Asked {
  readonly subscription: Selecting;
  /** What it reads without anybody here. */
  readonly own: ReadonlySet<string>;
  readonly added: Set<string>;
  /** Refused since the stream was opened last. */
  readonly refused: Set<string>;
  isOpen: boolean;
  wasOpen: boolean;
  settling: boolean;
}

/**
 * The channels that screens look at, on whatever subscription there is: each is added for the first of its users, and
 * dropped after the last.
 */
export class Channels {
  readonly #users = new Map<string, Set<OnRefused>>();
  /** Those that the server has refused; without an error it may have been for another one, in the same request. */
  readonly #doubts = new Map<string, Error | undefined>();
  #asked: Asked | undefined;
  #scheduled = false;

  /** Answers with a function that ends it. */
  use(channel: string, onRefused: OnRefused): () => void {
    const users = this.#users.get(channel) ?? new Set();
    const user: OnRefused = (refusal) => onRefused(refusal);
    this.#users.set(channel, users.add(user));
    const refusal = this.#doubts.get(channel);
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
      refused: new Set(),
      isOpen: false,
      wasOpen: false,
      settling: false,
    };
  }

  /** Each opening of the stream asks again for what was refused: a token may be another one by then. */
  opened(isOpen: boolean): void {
    const asked = this.#asked;
    if (!asked) return;
    asked.isOpen = isOpen;
    if (!isOpen) return;
    asked.wasOpen = true;
    asked.refused.clear();
    for (const channel of asked.added) this.#given(channel);
    this.settle();
  }

  /**
   * The server refuses to open the stream: of its channels, one that is not allowed refuses them all. Answers whether it
   * may be opened without some of those that are used here; they are asked for once it is open.
   */
  suspect(refusal: Error): boolean {
    const asked = this.#asked;
    if (!asked || asked.wasOpen) return false;
    const { own, added } = asked;
    const [first] = added;
    if (first !== undefined && own.size + added.size === 1) this.#refused(first, refusal);
    else for (const channel of added) this.#doubts.set(channel, this.#doubts.get(channel));
    if (own.size > 0) return added.size > 0;
    return [...this.#users.keys()].some((channel) => this.#doubts.get(channel) === undefined);
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
      const missing = this.#missing(asked);
      const unused = missing.length > 0 ? [] : this.#unused(asked);
      if (missing.length > 0) await this.#add(asked, missing);
      else if (unused.length > 0) await drop(asked, unused);
      else break;
    }
    asked.settling = false;
  }

  /**
   * What is to be asked for now. What is in doubt waits until the stream is open, where it refuses no other; without any
   * other channel there would be no stream, and one of them is tried.
   */
  #missing({ own, added, refused, isOpen }: Asked): string[] {
    const missing = [...this.#users.keys()].filter(
      (channel) => !own.has(channel) && !added.has(channel) && !refused.has(channel),
    );
    if (isOpen) return missing;
    const sure = missing.filter((channel) => !this.#doubts.has(channel));
    if (sure.length > 0 || own.size + added.size > 0) return sure;
    const suspect = missing.find((channel) => this.#doubts.get(channel) === undefined);
    return suspect === undefined ? missing : [suspect];
  }

  async #add(asked: Asked, channels: readonly string[]): Promise<void> {
    for (const channel of channels) asked.added.add(channel);
    try {
      await asked.subscription.add(...channels);
      if (asked.isOpen) for (const channel of channels) this.#given(channel);
    } catch (error) {
      for (const channel of channels) asked.added.delete(channel);
      const [channel, ...others] = channels;
      if (channel === undefined) return;
      // Of several, one that is not allowed refuses them all.
      if (others.length > 0) for (const each of channels) await this.#add(asked, [each]);
      else {
        asked.refused.add(channel);
        this.#refused(channel, error as Error);
      }
    }
  }

  #refused(channel: string, refusal: Error): void {
    this.#doubts.set(channel, refusal);
    for (const onRefused of this.#users.get(channel) ?? []) onRefused(refusal);
  }

  #given(channel: string): void {
    const refusal = this.#doubts.get(channel);
    this.#doubts.delete(channel);
    if (refusal) for (const onRefused of this.#users.get(channel) ?? []) onRefused(undefined);
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
