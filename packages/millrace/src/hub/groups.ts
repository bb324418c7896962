import type { Entry } from "../log/index.js";
import { prefixesOf, type Selection } from "../protocol/index.js";
import type { Form } from "./form.js";

/** What a group needs of a subscriber. */
interface Member {
  /** Where it stands in `live`; -1: it is not there. */
  liveIndex: number;
}

/** All subscribers with the same selection and form: an entry is encoded and joined once for all of them. */
export class Group<T extends Member> {
  readonly key: string;
  readonly selection: Selection;
  readonly form: Form;
  /** Subscribers, live or not. */
  members = 0;
  /** Those whose cursor is at the tail. */
  readonly live: T[] = [];
  /** The entries that are being written to it. */
  pending: Entry[] = [];

  constructor(key: string, selection: Selection, form: Form) {
    this.key = key;
    this.selection = selection;
    this.form = form;
  }

  addLive(subscriber: T): void {
    subscriber.liveIndex = this.live.push(subscriber) - 1;
  }

  removeLive(subscriber: T): void {
    const last = this.live.pop() as T;
    if (last !== subscriber) {
      this.live[subscriber.liveIndex] = last;
      last.liveIndex = subscriber.liveIndex;
    }
    subscriber.liveIndex = -1;
  }
}

const none: ReadonlySet<never> = new Set();

/** The groups, and which of them hold a channel: a publish touches those and no other. */
export class Groups<T extends Member> {
  readonly #byKey = new Map<string, Group<T>>();
  readonly #byChannel = new Map<string, Set<Group<T>>>();
  readonly #byPrefix = new Map<string, Set<Group<T>>>();

  get size(): number {
    return this.#byKey.size;
  }

  join(selection: Selection, form: Form): Group<T> {
    const key = `${form} ${selection.key}`;
    let group = this.#byKey.get(key);
    if (!group) {
      group = new Group<T>(key, selection, form);
      this.#byKey.set(key, group);
      for (const channel of selection.exact) add(this.#byChannel, channel, group);
      for (const prefix of selection.prefixes) add(this.#byPrefix, prefix, group);
    }
    group.members++;
    return group;
  }

  leave(group: Group<T>): void {
    if (--group.members > 0) return;
    this.#byKey.delete(group.key);
    for (const channel of group.selection.exact) remove(this.#byChannel, channel, group);
    for (const prefix of group.selection.prefixes) remove(this.#byPrefix, prefix, group);
  }

  /** Calls `visit` once with each group whose selection holds the channel. */
  holding(channel: string, visit: (group: Group<T>) => void): void {
    for (const group of this.#byChannel.get(channel) ?? none) visit(group);
    if (this.#byPrefix.size === 0) return;
    for (const prefix of prefixesOf(channel)) for (const group of this.#byPrefix.get(prefix) ?? none) visit(group);
  }
}

function add<V>(index: Map<string, Set<V>>, key: string, value: V): void {
  const values = index.get(key);
  if (values) values.add(value);
  else index.set(key, new Set([value]));
}

function remove<V>(index: Map<string, Set<V>>, key: string, value: V): void {
  const values = index.get(key);
  values?.delete(value);
  if (values?.size === 0) index.delete(key);
}
