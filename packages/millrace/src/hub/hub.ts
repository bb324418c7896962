import { randomUUID } from "node:crypto";
import type { Appended, Log, MaybePromise, Shared } from "../log/index.js";
import {
  type AddressedEvent,
  type AnyEvents,
  type CheckedEvent,
  checkEvent,
  checkFunction,
  checkOptionKinds,
  closeBlock,
  farewellBlock,
  MillraceError,
  maxTimerMs,
  openBlock,
  type PublishEvent,
  runsChannel,
  type Selection,
  selectionOf,
} from "../protocol/index.js";
import { Deadlines } from "../sink/deadlines.js";
import { GzipSink, type Sink } from "../sink/index.js";
import { type ChannelChange, changeSelection } from "./change.js";
import { Connections } from "./connections.js";
import { drain } from "./drain.js";
import { Groups } from "./groups.js";
import { heartbeat } from "./heartbeat.js";
import { idempotencyOf } from "./idempotency.js";
import { mannerOf } from "./manner.js";
import { addressTo, broadcastChannel, channelOf } from "./notify.js";
import {
  type ConnectOptions,
  checkPublishOptions,
  type HubOptions,
  type HubStats,
  type PublishOptions,
  type Start,
} from "./options.js";
import { place } from "./place.js";
import { type ConnectionFilter, Presence } from "./presence.js";
import { Pump } from "./pump.js";
import { type HubEvent, type ReadOptions, readEvents } from "./reader.js";
import type { Produced, RunWriter } from "./run.js";
import { type RunOptions, Runs, type StartedRun } from "./runs.js";
import { type Connection, roleChannels, Subscriber, wholeSelection } from "./subscriber.js";
import { Wake } from "./wake.js";
import { type Watch, Watched, type WatchOptions } from "./watched.js";

/** The log, the subscribers, and the pump between them. It knows no HTTP. */
export class Hub<E extends object = AnyEvents> {
  readonly log: Log;
  readonly retryMs: number;
  readonly heartbeatMs: number;
  readonly #options: HubOptions;
  readonly #pump: Pump;
  readonly #connections = new Connections();
  readonly #groups = new Groups<Subscriber>(
    (selection) => this.#watched.changed(selection),
    (selection) => this.log.shared?.follow(selection),
    (selection) => this.#runs.endOf(selection),
  );
  /** Those who read inside the program. */
  readonly #readers = new Groups<never>(
    (selection) => this.#watched.changed(selection),
    (selection) => this.log.shared?.follow(selection),
  );
  readonly #presence = new Presence(this.#connections, this.#groups, this.#readers);
  readonly #watched: Watched;
  readonly #runs: Runs;
  readonly #deadlines: Deadlines<Subscriber>;
  readonly #wake = new Wake();
  readonly #owner = {
    drained: (subscriber: Subscriber) => this.#pump.resume(subscriber),
    closed: (subscriber: Subscriber) => this.#closed(subscriber),
    position: (subscriber: Subscriber) => this.positionOf(subscriber),
  };
  readonly #counts = { published: 0, opened: 0, closed: 0 };
  /** Streams that were ended and are not gone yet. */
  readonly #ending = new Set<Subscriber>();
  #closing: Promise<void> | undefined;
  #emptied: (() => void) | undefined;

  constructor(options: HubOptions) {
    const { log, heartbeatMs = 15_000, heartbeatForm = "comment", retryMs = 2000, streamRate = Infinity } = options;
    this.log = log;
    this.retryMs = retryMs;
    this.heartbeatMs = heartbeatMs;
    this.#options = options;
    // First: a second hub on the log is refused here, before it can end the runs of the one that is there.
    log.onCommit((entries) => {
      if (entries.length === 0) return this.#pump.settle();
      if (log.shared) this.#runs.learn(entries);
      this.#pump.distribute(entries);
      this.#wake.now();
    });
    if (log.shared) this.#share(log.shared);
    this.#pump = new Pump({
      ...{ log, streamRate, groups: this.#groups, turn: options.turn },
      personal: (channel) => this.#connections.reading(channel),
      onEnd: (subscriber) => this.disconnect(subscriber, { reconnect: false, reason: "ended" }),
      onError: (subscriber, error) => {
        options.onError?.(error);
        this.disconnect(subscriber, { reason: "error" });
      },
    });
    this.#watched = new Watched({
      isWatched: (channel, byPrefix) => this.#presence.isWatched(channel, byPrefix),
      named: () => this.#presence.named(),
      onError: (error) => options.onError?.(error),
    });
    this.#runs = new Runs({
      log,
      publish: (event) => log.append([event]).then((appended) => this.#published([event], appended)[0] as string),
      onEnd: (channel) => {
        this.#pump.end(channel);
        this.#wake.now();
      },
      onError: (error) => options.onError?.(error),
    });
    this.#deadlines = new Deadlines({
      heartbeatMs,
      onHeartbeat: (subscribers) =>
        heartbeat({ pump: this.#pump, log, form: heartbeatForm, everyMs: heartbeatMs }, subscribers),
      onDeadline: (subscriber) => this.#expire(subscriber),
      onTick: () => {
        this.#pump.refill();
        this.#pump.sweep();
        this.#cutStalled();
      },
    });
    this.#runs.load();
  }

  #share(shared: Shared): void {
    shared.follow(selectionOf([broadcastChannel, runsChannel]));
    shared.onLate((entries) => {
      this.#pump.deliverLate(entries, this.#connections.all()); // before their streams are ended
      this.#runs.learn(entries);
    });
    shared.onReset((lost) => {
      this.#runs.reload();
      this.#pump.reset(this.#connections.all(), lost);
      this.#wake.now();
    });
  }

  get draining(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Publishes one event or several, all or none, and answers with their ids once they are as durable as the log
   * promises.
   * @throws MillraceError `invalid_event`, `invalid_channel`, `invalid_option`, `connection_gone`, `run_active`,
   * `run_ended`, `idempotency_conflict`, `store_full`, `store_failed`, `closed`
   */
  publish(event: PublishEvent<E>, options?: PublishOptions): Promise<string>;
  publish(events: readonly PublishEvent<E>[], options?: PublishOptions): Promise<string[]>;
  async publish(
    events: PublishEvent<E> | readonly PublishEvent<E>[],
    options?: PublishOptions,
  ): Promise<string | string[]> {
    const many = Array.isArray(events);
    const checked = (many ? (events as readonly unknown[]) : [events]).map(checkEvent);
    const ids = await this.append(checked, options);
    return many ? ids : (ids[0] as string);
  }

  /** As `publish`, for events that have been checked. */
  async append(events: readonly CheckedEvent[], options?: PublishOptions): Promise<string[]> {
    if (options !== undefined) checkPublishOptions(options);
    if (this.#runs.loading) await this.#runs.loading;
    for (const { channel } of events) {
      this.#runs.check(channel);
      if (channel.startsWith("@connection/") && !this.connection(channel.slice("@connection/".length))) {
        throw new MillraceError("connection_gone", "that connection is not there: nothing was published");
      }
    }
    const key = options?.idempotencyKey;
    const idempotency = key === undefined ? undefined : idempotencyOf(key, events);
    return this.#published(events, await this.log.append(events, idempotency && { idempotency }));
  }

  /** The ids of what was appended. */
  #published(events: readonly CheckedEvent[], { first, count, repeated }: Appended): string[] {
    const ids: string[] = [];
    for (let at = 0; at < count; at++) ids.push(this.log.position(first + at));
    if (repeated) return ids;
    this.#counts.published += count;
    const { onPublish } = this.#options;
    if (onPublish) for (const [at, event] of events.entries()) this.#tell(() => onPublish(event, ids[at] as string));
    return ids;
  }

  /**
   * Publishes to every connection, whatever its channels, on the channel `@all`. One that comes back is replayed it; one
   * that comes for the first time is not, even with `rewind`. Answers with the event's id.
   * @throws MillraceError as `publish`
   */
  async broadcast(event: AddressedEvent<E>, options?: PublishOptions): Promise<string> {
    return this.#send(addressTo(broadcastChannel, event), options);
  }

  /**
   * Publishes to one connection. Answers false when it is not there: then nothing was stored.
   * @throws MillraceError as `publish`
   */
  async sendToConnection(id: string, event: AddressedEvent<E>, options?: PublishOptions): Promise<boolean> {
    const checked = addressTo(`@connection/${id}`, event);
    try {
      await this.append([checked], options);
      return true;
    } catch (error) {
      if (error instanceof MillraceError && error.code === "connection_gone") return false;
      throw error;
    }
  }

  /**
   * Publishes to every connection of a user, on the channel `@user/<user>`. One who is not there is replayed it on coming
   * back. Answers with the event's id.
   * @throws MillraceError as `publish`; `invalid_channel` for a name of more than 250 bytes, or with `*`, CR, LF or NUL
   */
  async sendToUser(user: string, event: AddressedEvent<E>, options?: PublishOptions): Promise<string> {
    return this.#send(addressTo(channelOf("user", user), event), options);
  }

  /** The same for everyone who holds a role, on the channel `@role/<role>`. */
  async sendToRole(role: string, event: AddressedEvent<E>, options?: PublishOptions): Promise<string> {
    return this.#send(addressTo(channelOf("role", role), event), options);
  }

  async #send(event: CheckedEvent, options?: PublishOptions): Promise<string> {
    const [id] = await this.append([event], options);
    return id as string;
  }

  /**
   * Begins a run: events of one producer that come to an end, such as a model's answer or a job's progress. It resolves
   * once the run is in the log; `produce` then goes on by itself, whoever follows. Nobody else can publish to its
   * channel, nor run there again.
   *
   * What `produce` does not send it may return or yield: it can be an `async function*`.
   *
   * The run ends when `produce` does, with an event `millrace.end`: {"status":"done"}, or {"status":"failed","error":…}
   * with the message of `run.fail` or of a `MillraceError` that was thrown, cut at 1,000 characters; of any other error
   * clients are told nothing. `onError` is told all that was thrown. The streams and loops of those who follow ended runs only are then ended, and their clients do not come
   * back. A run that a hub leaves behind is ended, as failed, by the next one on the same log.
   *
   *     const { position } = await hub.run(`answers/${id}`, async (run) => {
   *       for await (const token of model.stream(prompt, run.signal)) await run.send({ data: token });
   *     });
   *
   * @throws MillraceError `invalid_channel`, `invalid_option`, `run_active`, `run_ended`, `closed`, `store_full`,
   * `store_failed`
   */
  async run(channel: string, produce: (run: RunWriter<E>) => Produced<E>, options?: RunOptions): Promise<StartedRun> {
    checkFunction("run", produce, "async (run) => { await run.send({ data }); }");
    return this.#runs.start(channel, produce as (run: RunWriter) => Produced, options);
  }

  /** Whether a client that has come so far has all that will ever come of a selection: all its runs have ended. */
  isOver(selection: Selection, lastEventId: string): boolean {
    const { sequence, lost } = this.log.locate(lastEventId);
    return lost === "no" && sequence >= this.#runs.endOf(selection);
  }

  /** The position of the newest entry: read a snapshot, then follow from here. */
  position(): string {
    return this.log.position(this.log.tail);
  }

  /** Reads channels inside this program, as an async iterable that ends with its signal. */
  subscribe(options: ReadOptions): AsyncIterable<HubEvent<E>> {
    return readEvents(this.log, this.#wake, this.#readers, this.#runs, options) as AsyncIterable<HubEvent<E>>;
  }

  /**
   * Finds where a client begins, for `connect`. A shared log is asked for its tail: what its client was given by another
   * node may not be known here yet.
   * @throws MillraceError `store_failed` when that cannot be found out for now
   */
  place(options: Pick<ConnectOptions, "selection" | "identity" | "lastEventId" | "rewind">): MaybePromise<Start> {
    const { selection, identity = {} } = options;
    const counted = () => {
      const exact = [...selection.exact, ...roleChannels(identity)];
      return selectionOf(
        identity.user === undefined ? exact : [...exact, `@user/${identity.user}`],
        selection.prefixes,
      );
    };
    const find = () => place(this.log, options, counted);
    return this.log.shared ? this.log.shared.refresh(options.lastEventId).then(find) : find();
  }

  /**
   * Lets a sink follow a selection.
   * @param openSink makes the sink; it is told the connection's id and the position that it begins at
   * @throws MillraceError `invalid_option`
   */
  connect(options: ConnectOptions, openSink: (id: string, position: string) => Sink): Subscriber {
    const { selection, identity = {}, remoteAddress, quiet = false } = options;
    const manner = mannerOf(options);
    const { maxAgeMs = Infinity } = this.#options;
    const roles = roleChannels(identity);
    const shared = roles.length === 0 ? selection : selectionOf([...selection.exact, ...roles], selection.prefixes);
    const id = randomUUID();
    const start = options.start ?? place(this.log, options, () => wholeSelection(shared, { id, identity }));
    if (start instanceof Promise) {
      start.catch(() => {});
      throw new MillraceError(
        "invalid_option",
        "a shared log has to be asked where a rewind begins: await hub.place()",
      );
    }
    const { lost } = start;
    const position = this.log.position(start.cursor);
    const plain = openSink(id, position);
    const sink = manner.gzip ? new GzipSink(plain) : plain;
    const openedAtMs = Date.now();
    const group = this.#groups.join(shared, manner);
    const subscriber = new Subscriber({
      owner: this.#owner,
      ...{ id, sink, identity, group, remoteAddress, openedAtMs, ...start },
    });
    subscriber.following = this.log.shared?.follow(selectionOf(subscriber.ownChannels));
    this.#connections.add(subscriber);
    this.#counts.opened++;
    subscriber.endsAtMs = Math.min(
      identity.expiresAtMs ?? Infinity,
      openedAtMs + maxAgeMs * (0.9 + Math.random() * 0.2),
    );
    this.#deadlines.add(subscriber, !quiet);
    sink.open(subscriber);
    const opening = openBlock(this.#jitter(this.retryMs), lost === "no" ? position : undefined);
    this.#pump.start(subscriber, quiet || sink.write(Buffer.from(opening)));
    // Last, because the application may end the connection there and then.
    this.#tell(() => this.#options.onConnection?.(subscriber, "open"));
    return subscriber;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  connection(id: string): Subscriber | undefined {
    return this.#connections.get(id);
  }

  /** Who is connected; with a filter, who of them reads a channel, or is a user. @throws MillraceError `invalid_channel` */
  connections(filter: ConnectionFilter = {}): Iterable<Subscriber> {
    return this.#presence.connections(filter);
  }

  /**
   * How many read a channel, by its name or by a prefix: connections, and loops of `subscribe`.
   * @throws MillraceError `invalid_channel`
   */
  watchers(channel: string): number {
    return this.#presence.watchers(channel);
  }

  /**
   * Calls `run` when a channel gets its first watcher: a connection, or a loop of `subscribe`. Its signal fires
   * `lingerMs` after the last one has gone; the next first watcher has it called again, once it has ended. With
   * `prefix/*` there is one run for each channel below that a watcher names, and `most` at a time: a watcher of a prefix
   * names none.
   *
   * A run that throws is told to `onError`, and is called again when watchers have gone and come. Answers with a function
   * that ends it all; the hub's end does, too.
   *
   *     hub.whileWatched("prices/*", async ({ channel, signal }) => {
   *       for await (const data of pricesOf(channel, signal)) await hub.publish({ channel, data });
   *     });
   *
   * @throws MillraceError `invalid_channel`, `invalid_option`
   */
  whileWatched(pattern: string, run: (watch: Watch) => void | Promise<void>, options?: WatchOptions): () => void {
    checkFunction("whileWatched", run, "async ({ channel, signal }) => { … }");
    return this.#watched.add(pattern, run, options);
  }

  /**
   * Changes what a connection reads, at the position that is answered: up to there it is given what it read before, from
   * there on what it reads now, as if it had come back with that position. For one that lags this lies in the past. The
   * change lasts as long as the connection.
   * @param connection it, or its id
   * @throws MillraceError `connection_gone`, `invalid_channel`, `invalid_option`
   */
  changeChannels(
    connection: Connection | string,
    change: ChannelChange,
  ): { channels: readonly string[]; position: string } {
    const subscriber = this.#connections.find(connection);
    if (!subscriber) throw new MillraceError("connection_gone", "that connection is not there: nothing was changed");
    const cursor = this.#pump.select(subscriber, changeSelection(subscriber.group.selection, change));
    if (change.add?.length && change.expiresAtMs !== undefined) this.#deadlines.noLater(subscriber, change.expiresAtMs);
    return { channels: subscriber.channels, position: this.log.position(cursor) };
  }

  /** The connections of one user. */
  connectionsOf(user: string): ReadonlySet<Subscriber> {
    return this.#connections.ofUser(user);
  }

  /** How many connections one address has. */
  connectionsFrom(remoteAddress: string): number {
    return this.#connections.countFrom(remoteAddress);
  }

  /** Where a subscriber is in the log. */
  positionOf(subscriber: Subscriber): string {
    return this.log.position(this.#pump.cursorOf(subscriber));
  }

  /**
   * Ends a connection. Answers false when it was not there.
   * @param connection it, or its id
   * @param options `reconnect: false` tells its client not to come back, a native EventSource too. Default true.
   * `reason`: what the client is told
   * @throws MillraceError `invalid_option`
   */
  disconnect(connection: Connection | string, options: { reconnect?: boolean; reason?: string } = {}): boolean {
    checkOptionKinds("disconnect", options, { reconnect: ["boolean"], reason: ["string"] });
    const { reconnect = true, reason = "disconnected" } = options;
    const subscriber = this.#connections.find(connection);
    if (!subscriber) return false;
    const id = subscriber.lost === "no" ? this.positionOf(subscriber) : undefined;
    this.#pump.remove(subscriber);
    this.#connections.delete(subscriber);
    this.#ending.add(subscriber);
    this.#deadlines.ending(subscriber);
    subscriber.closeReason = reason;
    const last = reconnect ? closeBlock(id, reason, this.#jitter(this.retryMs)) : farewellBlock(reason);
    subscriber.sink.end(Buffer.from(last));
    return true;
  }

  stats(): HubStats {
    return {
      ...this.#pump.counters,
      ...this.#counts,
      connections: this.#connections.size,
      users: this.#connections.users,
      groups: this.#groups.size,
    };
  }

  /**
   * Tells all clients to come back, a few at a time so that they do not come back at once, and closes the log. Streams
   * that have not ended after `drainMs` (default 3,000) are cut. Ends as soon as the last one is gone.
   */
  close({ drainMs = 3000 }: { drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(Math.min(Math.max(0, drainMs), maxTimerMs));
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    this.#watched.close();
    const ended = this.#runs.close();
    if (ended) await ended; // their clients are told how it ended, not to come back for the rest
    await drain(drainMs, {
      open: [...this.#connections.all()],
      end: (subscriber) => this.disconnect(subscriber, { reason: "shutdown" }),
      left: () => [...this.#connections.all(), ...this.#ending],
      emptied: new Promise((resolve) => {
        this.#emptied = resolve;
        this.#checkEmpty();
      }),
    });
    this.#deadlines.close();
    this.#wake.close();
    await this.log.close();
  }

  #closed(subscriber: Subscriber): void {
    if (!this.#connections.delete(subscriber) && !this.#ending.delete(subscriber)) return;
    this.#pump.remove(subscriber);
    this.#deadlines.remove(subscriber);
    this.#counts.closed++;
    this.#tell(() => this.#options.onConnection?.(subscriber, "close"));
    this.#checkEmpty();
  }

  #checkEmpty(): void {
    if (this.#connections.size === 0 && this.#ending.size === 0) this.#emptied?.();
  }

  /** What an application does with what it is told must not end a stream, spoil an answer, or end the process. */
  #tell(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  #cutStalled(): void {
    const { stallMs = Infinity } = this.#options;
    if (stallMs === Infinity) return;
    const beforeMs = Date.now() - stallMs;
    for (const subscriber of this.#connections.all()) {
      if (!subscriber.sinkFull || subscriber.fullSinceMs > beforeMs) continue;
      subscriber.closeReason = "stalled";
      subscriber.sink.destroy();
    }
  }

  #expire(subscriber: Subscriber): void {
    if (subscriber.state === "closed") subscriber.sink.destroy();
    else this.disconnect(subscriber, { reason: "expired" });
  }

  #jitter(ms: number): number {
    return Math.round(ms * (1 + Math.random()));
  }
}
