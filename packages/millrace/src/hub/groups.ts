import type { Entry, Following } from "../log/index.js";
import type { Selection } from "../protocol/index.js";
import { ByChannel } from "./by-channel.js";
import type { Chunk, Form } from "./form.js";
import type { Manner } from "./manner.js";
import { broadcastChannel } from "./notify.js";
import type { Recent } from "./recent.js";

/** What a group needs of a subscriber. */
interface Member {
  /** Where it stands in `live`; -1: it is not there. */
  liveIndex: number;
}

/** On its way over the live members of a group, from the last to the first. */
export interface Round {
  /** How many of the pending entries were there when it began: when it is over, all members have had these. */
  readonly entries: number;
  /** Sequence of the newest entry of the log then. */
  readonly through: number;
  /** Who is next. */
  member: number;
  /** Those entries, compressed. */
  chunks: readonly Chunk[] | undefined;
  isCompressing: boolean;
}

/** All subscribers with the same selection and manner: an entry is encoded and joined once for all of them. */
export class Group<T extends Member> implements Manner {
  readonly key: string;
  readonly selection: Selection;
  readonly form: Form;
  readonly gzip: boolean;
  readonly conflate: boolean;
  readonly everyMs: number;
  /** Subscribers, live or not. */
  members = 0;
  /** Those whose cursor is at the tail. */
  readonly live: T[] = [];
  /** Entries that not all of its live members have had yet. */
  pending: Entry[] = [];
  /** The round that brings them: see Rounds. */
  round: Round | undefined;
  /** Of a group whose members have a rate of their own: what they will need next. */
  recent: Recent | undefined;
  /** Nothing will ever come for it behind this sequence: see Runs. */
  endsAt = Infinity;
  /** What it has a shared log commit here. */
  following: Following | undefined;

  constructor(key: string, selection: Selection, { form, gzip, conflate, everyMs }: Manner) {
    this.key = key;
    this.selection = selection;
    this.form = form;
    this.gzip = gzip;
    this.conflate = conflate;
    this.everyMs = everyMs;
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

/** The groups, and which of them hold a channel: a publish touches those and no other. */
export class Groups<T extends Member> {
  readonly byChannel = new ByChannel<Group<T>>();
  readonly #byKey = new Map<string, Group<T>>();
  readonly #changed: (selection: Selection) => void;
  readonly #endOf: (selection: Selection) => number;
  readonly #follow: (selection: Selection) => Following | undefined;

  /**
   * @param changed is told of a selection when its first member has come, and when its last has gone
   * @param follow begins a group's `following`
   * @param endOf finds a group's `endsAt`
   */
  constructor(
    changed: (selection: Selection) => void,
    follow: (selection: Selection) => Following | undefined = () => undefined,
    endOf: (selection: Selection) => number = () => Infinity,
  ) {
    this.#changed = changed;
    this.#follow = follow;
    this.#endOf = endOf;
  }

  get size(): number {
    return this.#byKey.size;
  }

  join(selection: Selection, manner: Manner): Group<T> {
    const { form, gzip, conflate, everyMs } = manner;
    const key = `${form} ${gzip} ${conflate} ${everyMs} ${selection.key}`;
    let group = this.#byKey.get(key);
    if (!group) {
      group = new Group<T>(key, selection, manner);
      group.endsAt = this.#endOf(selection);
      group.following = this.#follow(selection);
      this.#byKey.set(key, group);
      this.byChannel.add(selection, group);
      this.#changed(selection);
    }
    group.members++;
    return group;
  }

  leave(group: Group<T>): void {
    if (--group.members > 0) return;
    this.#byKey.delete(group.key);
    this.byChannel.delete(group.selection, group);
    group.following?.end();
    this.#changed(group.selection);
  }

  /** A channel has ended. Calls `visit` with each group that reads nothing else that has not. */
  ending(channel: string, visit: (group: Group<T>) => void): void {
    this.byChannel.holding(channel, (group) => {
      group.endsAt = this.#endOf(group.selection);
      if (group.endsAt < Infinity) visit(group);
    });
  }

  /** Calls `visit` once with each group that an entry of the channel goes to: with all, when it is broadcast. */
  reading(channel: string, visit: (group: Group<T>) => void): void {
    if (channel !== broadcastChannel) this.byChannel.holding(channel, visit);
    else for (const group of this.#byKey.values()) visit(group);
  }
}
