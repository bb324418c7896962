import { createHash, randomUUID } from "node:crypto";
import type { Log } from "../log/index.js";
import {
  type CheckedEvent,
  checkEvent,
  closeBlock,
  farewellBlock,
  heartbeatBlock,
  keepaliveBlock,
  MillraceError,
  maxTimerMs,
  openBlock,
  type PublishEvent,
  type Selection,
  selectionOf,
} from "../protocol/index.js";
import type { Sink } from "../sink/sink.js";
import { Connections } from "./connections.js";
import { Deadlines } from "./deadlines.js";
import type { Form } from "./form.js";
import { Pump, type PumpCounters } from "./pump.js";
import { type HubEvent, type ReadOptions, readEvents } from "./reader.js";
import { type Connection, type Identity, personalChannels, roleChannels, Subscriber } from "./subscriber.js";
import type { Turn } from "./turn.js";
import { Wake } from "./wake.js";

export interface HubOptions {
  readonly log: Log;
  /** How often an idle stream is written to, in milliseconds. Default 15,000; 0 turns heartbeats off. */
  readonly heartbeatMs?: number;
  /** `comment` (default), or `event`: a `heartbeat` event that page code sees. */
  readonly heartbeatForm?: "comment" | "event";
  /** Clients are told to wait so long before they reconnect, in milliseconds; each a little differently. Default 2,000. */
  readonly retryMs?: number;
  /** Entries a second that one stream is sent at most; it then reads on later. Default Infinity: no bound. */
  readonly streamRate?: number;
  /** A stream is ended after so long, give or take a tenth, and its client comes back. Default Infinity: never. */
  readonly maxAgeMs?: number;
  /** A stream whose client has not taken what it was sent for so long is cut. Default Infinity: a peer may be as slow as it likes. */
  readonly stallMs?: number;
  /** How much of one turn of the event loop deliveries may take. */
  readonly turn?: Partial<Turn>;
  /** Told when a connection opens or closes. */
  readonly onConnection?: (connection: Connection, what: "open" | "close") => void;
  /** Told of each event that was published here, with its id. */
  readonly onPublish?: (event: CheckedEvent, id: string) => void;
  /** Told what went wrong inside, with nothing of it sent to a client. */
  readonly onError?: (error: unknown) => void;
}

export interface ConnectOptions {
  /** Exact channels and prefixes, as `parseSelection` gives them. */
  readonly selection: Selection;
  readonly form?: Form;
  readonly identity?: Identity;
  /** The client's cursor: it wins over `rewind`. */
  readonly lastEventId?: string;
  /** Begin so many entries back, or with the oldest kept. Default: at the tail. */
  readonly rewind?: number | "all";
  readonly remoteAddress?: string;
  /** A long-poll: it is given no opening block and no heartbeats. */
  readonly quiet?: boolean;
}

export interface HubStats extends Readonly<PumpCounters> {
  readonly connections: number;
  /** Different users that are connected. */
  readonly users: number;
  readonly groups: number;
  /** Events accepted here. */
  readonly published: number;
  /** Connections that were opened, and of these that are gone. */
  readonly opened: number;
  readonly closed: number;
}

export interface PublishOptions {
  /** Publishing again with the same key, within the log's time for keys, answers with the same ids and adds nothing. */
  readonly idempotencyKey?: string;
}

/** The log, the subscribers, and the pump between them. It knows no HTTP. */
export class Hub {
  readonly log: Log;
  readonly retryMs: number;
  readonly heartbeatMs: number;
  readonly #options: HubOptions;
  readonly #pump: Pump;
  readonly #connections = new Connections();
  readonly #deadlines: Deadlines;
  readonly #wake = new Wake();
  readonly #counts = { published: 0, opened: 0, closed: 0 };
  /** Streams that were ended and are not gone yet. */
  readonly #ending = new Set<Subscriber>();
  #closing: Promise<void> | undefined;
  #emptied: (() => void) | undefined;

  constructor(options: HubOptions) {
    const { log, heartbeatMs = 15_000, retryMs = 2000, streamRate = Infinity } = options;
    this.log = log;
    this.retryMs = retryMs;
    this.heartbeatMs = heartbeatMs;
    this.#options = options;
    this.#pump = new Pump({
      log,
      streamRate,
      turn: options.turn,
      personal: (channel) => this.#connections.reading(channel),
      onError: (subscriber, error) => {
        options.onError?.(error);
        this.disconnect(subscriber, { reason: "error" });
      },
    });
    log.onCommit((entries) => {
      this.#pump.distribute(entries);
      this.#wake.now();
    });
    this.#deadlines = new Deadlines({
      heartbeatMs,
      onHeartbeat: (subscribers) => this.#heartbeat(subscribers),
      onDeadline: (subscriber) => this.#expire(subscriber),
      onTick: () => {
        this.#pump.refill();
        this.#cutStalled();
      },
    });
  }

  get draining(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Publishes one event or several, all or none, and answers with their ids once they are as durable as the log
   * promises.
   * @throws MillraceError `invalid_event`, `invalid_channel`, `connection_gone`, `idempotency_conflict`, `store_full`,
   * `store_failed`, `closed`
   */
  publish(event: PublishEvent, options?: PublishOptions): Promise<string>;
  publish(events: readonly PublishEvent[], options?: PublishOptions): Promise<string[]>;
  async publish(
    events: PublishEvent | readonly PublishEvent[],
    options: PublishOptions = {},
  ): Promise<string | string[]> {
    const many = Array.isArray(events);
    const checked = (many ? (events as readonly unknown[]) : [events]).map(checkEvent);
    const ids = await this.append(checked, options);
    return many ? ids : (ids[0] as string);
  }

  /** As `publish`, for events that have been checked. */
  async append(events: readonly CheckedEvent[], { idempotencyKey }: PublishOptions = {}): Promise<string[]> {
    for (const { channel } of events) {
      if (channel.startsWith("@connection/") && !this.connection(channel.slice("@connection/".length))) {
        throw new MillraceError("connection_gone", "that connection is not there: nothing was published");
      }
    }
    const idempotency = idempotencyKey === undefined ? undefined : idempotencyOf(idempotencyKey, events);
    const { first, count, repeated = false } = await this.log.append(events, idempotency && { idempotency });
    const ids = Array.from({ length: count }, (_, at) => this.log.position(first + at));
    if (!repeated) {
      this.#counts.published += count;
      const { onPublish } = this.#options;
      for (const [at, event] of events.entries()) this.#tell(() => onPublish?.(event, ids[at] as string));
    }
    return ids;
  }

  /** The position of the newest entry: read a snapshot, then follow from here. */
  position(): string {
    return this.log.position(this.log.tail);
  }

  /** Reads channels inside this program, as an async iterable that ends with its signal. */
  subscribe(options: ReadOptions): AsyncIterable<HubEvent> {
    return readEvents(this.log, this.#wake, options);
  }

  /**
   * Lets a sink follow a selection.
   * @param openSink makes the sink; it is told the connection's id and the position that it begins at
   */
  connect(options: ConnectOptions, openSink: (id: string, position: string) => Sink): Subscriber {
    const { selection, form = "event", identity = {}, remoteAddress, quiet = false } = options;
    const { maxAgeMs = Infinity } = this.#options;
    const roles = roleChannels(identity);
    const shared = roles.length === 0 ? selection : selectionOf([...selection.exact, ...roles], selection.prefixes);
    const id = randomUUID();
    const { cursor, lost, knownDrops } = this.#place(options, () =>
      selectionOf([...shared.exact, ...personalChannels(id, identity)], shared.prefixes),
    );
    const position = this.log.position(cursor);
    const sink = openSink(id, position);
    const openedAtMs = Date.now();
    const group = this.#pump.groups.join(shared, form);
    const subscriber = new Subscriber({
      ...{ id, sink, identity, group, remoteAddress, openedAtMs },
      ...{ cursor, lost, knownDrops },
    });
    this.#connections.add(subscriber);
    this.#counts.opened++;
    subscriber.endsAtMs = Math.min(
      identity.expiresAtMs ?? Infinity,
      openedAtMs + maxAgeMs * (0.9 + Math.random() * 0.2),
    );
    this.#deadlines.add(subscriber, !quiet);
    sink.open({ onDrain: () => this.#pump.resume(subscriber), onClose: () => this.#closed(subscriber) });
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

  connections(): Iterable<Subscriber> {
    return this.#connections.all();
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

  /** Ends a stream. `reconnect: false` tells the client not to come back, a native EventSource too. Default true. */
  disconnect(subscriber: Subscriber, { reconnect = true, reason = "disconnected" } = {}): void {
    if (subscriber.state === "closed") return;
    const id = subscriber.lost === "no" ? this.positionOf(subscriber) : undefined;
    this.#pump.remove(subscriber);
    this.#connections.delete(subscriber);
    this.#ending.add(subscriber);
    this.#deadlines.ending(subscriber);
    subscriber.closeReason = reason;
    const last = reconnect ? closeBlock(id, reason, this.#jitter(this.retryMs)) : farewellBlock(reason);
    subscriber.sink.end(Buffer.from(last));
  }

  stats(): HubStats {
    return {
      ...this.#pump.counters,
      ...this.#counts,
      connections: this.#connections.size,
      users: this.#connections.users,
      groups: this.#pump.groups.size,
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
    const open = [...this.#connections.all()];
    const slices = Math.min(20, Math.ceil(open.length / 50));
    const timers: NodeJS.Timeout[] = [];
    for (let slice = 0; slice < slices; slice++) {
      const end = () => {
        for (let at = slice; at < open.length; at += slices) {
          this.disconnect(open[at] as Subscriber, { reason: "shutdown" });
        }
      };
      timers.push(setTimeout(end, (slice / slices) * drainMs * 0.7));
    }
    const cut = () => {
      for (const subscriber of [...this.#connections.all(), ...this.#ending]) subscriber.sink.destroy();
    };
    timers.push(setTimeout(cut, drainMs));
    await new Promise<void>((resolve) => {
      this.#emptied = resolve;
      this.#checkEmpty();
    });
    for (const timer of timers) clearTimeout(timer);
    this.#deadlines.close();
    this.#wake.close();
    await this.log.close();
  }

  /** Where a client begins to read. */
  #place(
    { lastEventId, rewind }: ConnectOptions,
    whole: () => Selection,
  ): Pick<Subscriber, "cursor" | "lost" | "knownDrops"> {
    const { tail, drops } = this.log;
    if (lastEventId) {
      const { sequence, lost } = this.log.locate(lastEventId);
      return { cursor: sequence, lost, knownDrops: -1 };
    }
    const cursor = rewind === undefined ? tail : rewind === "all" ? 0 : this.log.rewind(whole(), rewind);
    return { cursor, lost: "no", knownDrops: drops };
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

  /** All that are idle are told the same. One that lags, or is being written to, has bytes coming anyway. */
  #heartbeat(subscribers: Iterable<Subscriber>): void {
    const nowMs = Date.now();
    const block = this.#options.heartbeatForm === "event" ? heartbeatBlock : keepaliveBlock;
    const bytes = (sequence: number) => Buffer.from(block(nowMs, this.log.position(sequence)));
    const shared = bytes(this.#pump.settled);
    for (const subscriber of subscribers) {
      if (this.#pump.isIdle(subscriber)) this.#pump.writeTo(subscriber, shared);
      else if (this.#pump.isPaced(subscriber)) this.#pump.writeTo(subscriber, bytes(subscriber.cursor));
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

/** Over HTTP a key has 256 bytes at most; there it is stored together with its user's name. */
const maxKeyBytes = 1024;

function idempotencyOf(key: string, events: readonly CheckedEvent[]) {
  const bytes = Buffer.byteLength(key);
  if (bytes < 1 || bytes > maxKeyBytes) {
    throw new MillraceError("invalid_event", `an idempotency key has 1 to ${maxKeyBytes} bytes: this one has ${bytes}`);
  }
  const digest = createHash("sha256").update(JSON.stringify(events)).digest("base64url");
  return { key, digest };
}
