import { MillraceError } from "../protocol/index.js";
import type { Connection, Subscriber } from "./subscriber.js";

const none: ReadonlySet<Subscriber> = new Set();

/** Who is connected: by id, by user, by address. */
export class Connections {
  readonly #byId = new Map<string, Subscriber>();
  readonly #byUser = new Map<string, Set<Subscriber>>();
  readonly #fromAddress = new Map<string, number>();

  get size(): number {
    return this.#byId.size;
  }

  /** How many different users are connected. */
  get users(): number {
    return this.#byUser.size;
  }

  add(subscriber: Subscriber): void {
    const { id, identity, remoteAddress } = subscriber;
    this.#byId.set(id, subscriber);
    if (identity.user !== undefined) {
      const connections = this.#byUser.get(identity.user);
      if (connections) connections.add(subscriber);
      else this.#byUser.set(identity.user, new Set([subscriber]));
    }
    if (remoteAddress !== undefined) this.#fromAddress.set(remoteAddress, this.countFrom(remoteAddress) + 1);
  }

  /** Answers false when it was not there. */
  delete({ id, identity, remoteAddress }: Subscriber): boolean {
    const subscriber = this.#byId.get(id);
    if (!subscriber) return false;
    this.#byId.delete(id);
    if (identity.user !== undefined) {
      const connections = this.#byUser.get(identity.user);
      connections?.delete(subscriber);
      if (connections?.size === 0) this.#byUser.delete(identity.user);
    }
    if (remoteAddress !== undefined) {
      const left = this.countFrom(remoteAddress) - 1;
      if (left > 0) this.#fromAddress.set(remoteAddress, left);
      else this.#fromAddress.delete(remoteAddress);
    }
    return true;
  }

  get(id: string): Subscriber | undefined {
    return this.#byId.get(id);
  }

  /** One that an application names, by its id too. @throws MillraceError `invalid_option` */
  find(connection: Connection | string): Subscriber | undefined {
    const id: unknown = typeof connection === "string" ? connection : connection?.id;
    if (typeof id === "string") return this.#byId.get(id);
    throw new MillraceError("invalid_option", `a connection or its id is needed: this is ${typeof connection}`);
  }

  all(): Iterable<Subscriber> {
    return this.#byId.values();
  }

  ofUser(user: string): ReadonlySet<Subscriber> {
    return this.#byUser.get(user) ?? none;
  }

  countFrom(remoteAddress: string): number {
    return this.#fromAddress.get(remoteAddress) ?? 0;
  }

  /** Those who read a personal channel. */
  reading(channel: string): Iterable<Subscriber> {
    const name = channel.slice(channel.indexOf("/") + 1);
    if (channel.startsWith("@user/")) return this.ofUser(name);
    const subscriber = this.get(name);
    return subscriber ? [subscriber] : none;
  }
}
