import { randomBytes } from "node:crypto";
import { type CheckedEvent, MillraceError, type Selection, selectionOf } from "../../protocol/index.js";
import type { Entry } from "../entry.js";
import type {
  Appended,
  AppendOptions,
  Located,
  Log,
  LogStats,
  MaybePromise,
  ReadRequest,
  Retention,
  RetentionPolicy,
  Shared,
  Slice,
} from "../log.js";
import { rulesOf } from "../policies.js";
import { Appends, notThere } from "./appends.js";
import { isAnswer, type RedisSource } from "./client.js";
import { Epochs } from "./epochs.js";
import { Feed } from "./feed.js";
import { Follows } from "./follows.js";
import { Link } from "./link.js";
import type { LinkedEntry } from "./message.js";
import { type FoundSlice, findRewind, readSlice } from "./reads.js";
import { Recent } from "./recent.js";
import { scripts } from "./scripts.js";
import { noticesOf, type RedisServer } from "./server.js";
import { type Figures, figuresOf, Session } from "./session.js";

export interface RedisLogParts {
  readonly source: RedisSource;
  readonly prefix: string;
  readonly retention: Retention;
  readonly policies: readonly RetentionPolicy[];
  readonly wait: number;
  readonly waitMs: number;
  readonly timeoutMs: number;
  readonly cacheBytes: number;
  /** From so many channels on, a read of a prefix goes through the entries of all. */
  readonly wideChannels: number;
  readonly onNotice: (message: string) => void;
}

const noFigures: Figures = { tail: 0, drops: 0, channels: 0, entries: 0, bytes: 0, forgottenThrough: 0 };
/** How long a message may take that belongs to an answer, in milliseconds. */
const lateMs = 50;
/** How many channels one look at the tails compares. */
const comparedChannels = 1000;
/** How much is read at once of what was missed. */
const missedBytes = 1024 * 1024;

/** The log of many nodes, in a Redis. What is followed here is committed here; all else is read there. */
export class RedisLog implements Log {
  readonly #parts: RedisLogParts;
  readonly #recent: Recent;
  readonly #follows: Follows;
  readonly #feed: Feed;
  readonly #appends: Appends;
  readonly #link: Link;
  readonly #ticker: NodeJS.Timeout;
  readonly shared: Shared;
  #epochs = new Epochs([]);
  #figures = noFigures;
  #server: RedisServer = { version: "", appendfsync: "unknown", maxmemoryPolicy: "", replicas: 0 };
  /** Up to here the tails were compared with what came. */
  #verified = 0;
  #ticking: Promise<void> | undefined;
  #refreshing: Promise<void> | undefined;
  /** The next look has to be a thorough one. */
  #isDue = false;
  #problem = "";
  #asking = false;
  #losses = 0;
  #opened = false;
  #listener: ((entries: readonly Entry[]) => void) | undefined;
  #lateListener: ((entries: readonly Entry[]) => void) | undefined;
  #resetListener: ((lost: "no" | "may") => void) | undefined;
  #closed: Promise<void> | undefined;
  #readable = true;

  private constructor(parts: RedisLogParts) {
    const { retention, policies, prefix, source, wait, waitMs, timeoutMs } = parts;
    this.#parts = parts;
    const rules = rulesOf(retention, policies);
    this.#recent = new Recent(parts.cacheBytes);
    this.#follows = new Follows(() => this.#ask());
    this.#feed = new Feed({
      follows: this.#follows,
      recent: this.#recent,
      fill: (channel, after, through) => this.#fill(channel, after, through),
      commit: (entries) => this.#commit(entries),
      onLate: (entries) => this.#lateListener?.(entries),
      onMissed: () => this.#reset("may"),
    });
    this.#link = new Link({
      open: (onEnd) =>
        Session.open({
          ...{ source, prefix, onEnd },
          onMessage: (message) => this.#feed.push(message),
        }),
      resume: (session) => this.#resume(session),
      onDown: () => {
        this.#feed.pause();
        this.#appends.refuse(notThere());
      },
      onNotice: parts.onNotice,
      timeoutMs,
    });
    this.#appends = new Appends({
      ...{ retention, rules, wait, waitMs, unsureMs: timeoutMs },
      epoch: () => this.#epochs.current,
      session: () => this.#link.session,
      nextSession: (withinMs) => this.#link.next(withinMs),
      comesBack: (channel) => this.#follows.isAsked(channel),
      reach: (figures, sequence, needs) => {
        this.#learn(figures);
        // Its message comes right behind the answer; one that was lost on the way would be looked for a second later.
        const late = setTimeout(() => this.#tick(), lateMs);
        return this.#feed.reach(sequence, needs).finally(() => clearTimeout(late));
      },
    });
    const log = this;
    this.shared = {
      follow: (selection) => this.#follows.follow(selection),
      refresh: (position) => this.#refreshFor(position),
      onLate: (listener) => {
        this.#lateListener = listener;
      },
      onReset: (listener) => {
        this.#resetListener = listener;
      },
      get losses() {
        return log.#losses;
      },
    };
    const leastAgeMs = Math.min(retention.memoryAgeMs, ...rules.map(({ ageMs }) => ageMs));
    this.#ticker = setInterval(() => this.#tick(), Math.max(10, Math.min(1000, leastAgeMs / 4)));
    this.#ticker.unref();
  }

  /** @throws MillraceError `store_failed`, `invalid_option` */
  static async open(parts: RedisLogParts): Promise<RedisLog> {
    const log = new RedisLog(parts);
    try {
      await log.#link.start();
      return log;
    } catch (error) {
      clearInterval(log.#ticker);
      log.#link.close();
      if (error instanceof MillraceError) throw error;
      throw new MillraceError("store_failed", `Redis cannot be used: ${(error as Error).message}`);
    }
  }

  get tail(): number {
    return this.#feed.tail;
  }

  get drops(): number {
    return this.#figures.drops;
  }

  /** What this Redis promises. */
  get server(): RedisServer {
    return this.#server;
  }

  append(events: readonly CheckedEvent[], { idempotency }: AppendOptions = {}): Promise<Appended> {
    try {
      if (this.#closed) throw closed();
      if (events.length === 0 && !idempotency) return Promise.resolve({ first: this.tail + 1, count: 0 });
      if (!this.#link.session) throw notThere();
      return this.#appends.add(events, idempotency);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  read(request: ReadRequest): MaybePromise<Slice> {
    if (!this.#readable) throw closed();
    const { selection, after } = request;
    const since = this.#follows.sinceOfAll(selection);
    const here = Math.max(since ?? Infinity, this.#recent.floor, this.#figures.forgottenThrough);
    if (after < here || after > this.tail) return this.#readThere(request);
    return { ...this.#recent.read(request, this.tail), gap: this.#recent.gap(request) };
  }

  isQuiet(channels: readonly string[], after: number): boolean {
    return channels.every((channel) => {
      const since = this.#follows.sinceOf(channel);
      return since !== undefined && since <= after && this.#recent.lastOf(channel) <= after;
    });
  }

  locate(position: string): Located {
    return this.#epochs.locate(position, this.tail);
  }

  position(sequence: number): string {
    return this.#epochs.position(sequence);
  }

  rewind(selection: Selection, count: number): MaybePromise<number> {
    if (count === 0) return this.tail;
    return this.#countBack(selection, count);
  }

  onCommit(listener: (entries: readonly Entry[]) => void): void {
    if (this.#listener) throw new MillraceError("invalid_option", "this log has a hub already: give each hub its own");
    this.#listener = listener;
    this.#ask();
  }

  stats(): LogStats {
    const { channels, entries, bytes } = this.#figures;
    return { channels, entries, bytes, storedBytes: bytes, writable: this.#link.session !== undefined };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#appends.finish();
    clearInterval(this.#ticker);
    this.#readable = false;
    this.#link.close();
    this.#follows.wake();
  }

  #learn(figures: Figures): void {
    if (figures.drops >= this.#figures.drops) this.#figures = figures;
  }

  #commit(entries: readonly Entry[]): void {
    try {
      this.#listener?.(entries);
    } catch (error) {
      // A fault of the listener: the process hears of it, but neither the publishers nor the next batch do.
      setImmediate(() => {
        throw error;
      });
    }
  }

  #reset(lost: "no" | "may"): void {
    if (lost === "may") this.#losses++;
    this.#resetListener?.(lost);
  }

  // What is followed

  /** At the end of the turn, because a thousand who come at once ask for much. */
  #ask(): void {
    if (this.#asking) return;
    this.#asking = true;
    setImmediate(() => {
      this.#asking = false;
      // One that nobody has told what to follow is used without a hub.
      if (this.#listener && !this.#follows.isUsed) this.#follows.followEverything();
      const { session } = this.#link;
      if (session) this.#subscribe(session).catch((error) => session.end(error as Error));
    });
  }

  async #subscribe(session: Session): Promise<void> {
    const wanted = this.#follows.takeWanted();
    if (wanted.parts.length === 0) return;
    const { tail, done } = await this.#listen(session, wanted);
    await done;
    if (session.ended) return; // the next session asks again
    wanted.ready(tail);
    void this.#feed.reach(tail);
  }

  /** Asks for topics, and for the tail right behind them: what is published later comes as a message. */
  async #listen(
    session: Session,
    { exact, prefixes, parts }: ReturnType<Follows["takeWanted"]>,
  ): Promise<{ tail: number; done: Promise<void> }> {
    const { everything } = this.#follows;
    const names = everything && parts.includes(everything) ? prefixes.filter((name) => name !== "") : prefixes;
    const asked: Promise<void>[] = [session.subscribe(exact, names)];
    if (everything && parts.includes(everything)) asked.push(session.subscribeAll());
    const answer = session.run(scripts.tick, ["0", "0", "0"]);
    const done = Promise.all(asked).then(() => {});
    done.catch(() => {}); // the answer says the same
    const [, figures] = (await answer) as unknown[];
    return { tail: figuresOf(figures).tail, done };
  }

  // The tail

  /** A client may bring what another node had given it: to take that for lost would give it all again. */
  async #refreshFor(position = ""): Promise<void> {
    for (;;) {
      await this.#refresh();
      if (this.#link.session || position === "" || this.#epochs.locate(position, this.tail).lost !== "yes") return;
      if (!(await this.#link.next(this.#parts.timeoutMs))) {
        throw new MillraceError("store_failed", "Redis cannot be reached at present: come back later");
      }
    }
  }

  #refresh(): Promise<void> {
    // One that is on its way may have been answered before what this caller knows of was appended.
    this.#refreshing ??= (this.#ticking ?? Promise.resolve()).then(() => {
      this.#refreshing = undefined;
      return this.#look(this.#isDue);
    });
    return this.#refreshing;
  }

  #tick(): void {
    if (!this.#link.session) return;
    // Where clients come all the time, one look follows the other: the next one does it.
    if (this.#ticking) this.#isDue = true;
    else void this.#look(true);
    const { exact, prefixes } = this.#follows.takeUnwanted();
    if (exact.length + prefixes.length === 0) return;
    const { session } = this.#link;
    session?.unsubscribe(exact, prefixes).catch((error) => session.end(error as Error));
  }

  #look(thorough: boolean): Promise<void> {
    const { session } = this.#link;
    if (!session) return Promise.resolve();
    if (thorough) this.#isDue = false;
    const looking = this.#compare(session, thorough)
      .catch((error: Error) => {
        if (!isAnswer(error)) session.end(error);
        else if (error.message !== this.#problem) this.#parts.onNotice(`Redis could not be tidied: ${error.message}`);
        this.#problem = error.message;
      })
      .finally(() => {
        if (this.#ticking === looking) this.#ticking = undefined;
      });
    this.#ticking = looking;
    return looking;
  }

  /** Learns the tail, and looks whether the last message of some channel has never come. */
  async #compare(session: Session, thorough: boolean): Promise<void> {
    const { timeoutMs } = this.#parts;
    const late = setTimeout(() => session.end(new Error(`Redis has not answered within ${timeoutMs} ms`)), timeoutMs);
    try {
      const asked = session.run(scripts.tick, [
        String(this.#verified),
        String(thorough ? comparedChannels : 0),
        thorough ? "1" : "0",
      ]);
      const [answer] = await Promise.all([asked, thorough ? session.check() : undefined]);
      const [epoch, numbers, behind] = answer as unknown[];
      if (session.ended) return;
      if (epoch !== this.#epochs.current) {
        session.end(new Error("its data is not what it was"));
        return;
      }
      const figures = figuresOf(numbers);
      const pairs = pairsOf(behind);
      for (const { channel, last } of pairs) this.#feed.push({ channel, last });
      await this.#feed.reach(figures.tail);
      this.#learn(figures);
      if (thorough) this.#verified = pairs.length < comparedChannels ? figures.tail : (pairs.at(-1)?.last ?? 0);
    } finally {
      clearTimeout(late);
    }
  }

  // A new session

  async #resume(session: Session): Promise<void> {
    const { server } = session;
    if (server.evicts) {
      throw new MillraceError(
        "invalid_option",
        `this Redis deletes events by itself once its memory is full (maxmemory-policy ${server.maxmemoryPolicy}): set it to noeviction`,
      );
    }
    if (!this.#opened || server.appendfsync !== this.#server.appendfsync) {
      for (const notice of noticesOf(server)) this.#parts.onNotice(notice);
    }
    const { version, appendfsync, maxmemoryPolicy, replicas } = server;
    this.#server = { version, appendfsync, maxmemoryPolicy, replicas };
    const name = newEpochName();
    const opening = [server.runId, name, String(this.tail), server.safe ? "1" : "0"];
    const [figures, list] = (await session.run(scripts.open, opening)) as unknown[];
    this.#figures = figuresOf(figures); // of another life of Redis there may have been fewer drops
    const before = this.#epochs.current;
    this.#epochs = new Epochs(JSON.parse(String(list)));
    await session.watchEpochs((begun) => {
      if (begun !== this.#epochs.current) session.end(new Error("another epoch has begun"));
    });
    this.#follows.forgetAsked();
    const wanted = this.#follows.takeWanted();
    const { tail, done } = await this.#listen(session, wanted);
    await done;
    const lost = this.#opened && this.#epochs.lostSince(before) ? "may" : "no";
    const missed = this.#opened && lost === "no" ? await this.#missed(session, tail) : undefined;
    if (session.ended) throw session.ended;
    if (!missed) this.#follows.restart(tail);
    wanted.ready(tail);
    this.#verified = tail;
    // First: what moves the tail on moves those along who are live there.
    if (!missed && this.#opened) this.#reset(lost);
    this.#feed.resume(tail, missed);
    this.#opened = true;
    this.#ask(); // what was wanted meanwhile, when there was nobody to ask
  }

  /** What came while there was no connection, in order; undefined when it is not all there, or too much at once. */
  async #missed(session: Session, tail: number): Promise<LinkedEntry[] | undefined> {
    const { exact, prefixes } = this.#follows.listened();
    if (this.#follows.everything) return tail === this.tail ? [] : undefined;
    const selection = selectionOf(exact, prefixes);
    const missed: LinkedEntry[] = [];
    let bytes = 0;
    for (let after = Math.min(this.#verified, this.tail); after < tail; ) {
      const request = { selection, after, limitBytes: missedBytes };
      const { entries, next, gap } = await this.#slice(session, request);
      if (gap) return undefined;
      for (const entry of entries) {
        const known = Math.max(this.#follows.sinceOf(entry.channel) ?? Infinity, this.#recent.lastOf(entry.channel));
        if (entry.sequence <= known || entry.sequence > tail) continue;
        missed.push(entry);
        bytes += entry.end - entry.start;
      }
      if (bytes > this.#parts.cacheBytes) return undefined;
      after = next;
    }
    return missed;
  }

  // Reading there

  async #countBack(selection: Selection, count: number): Promise<number> {
    const { timeoutMs, wideChannels } = this.#parts;
    const session = await this.#link.next(timeoutMs);
    if (!session) throw this.#readable ? notThere() : closed();
    try {
      return Math.min(this.tail, await findRewind(session, selection, count, wideChannels));
    } catch (error) {
      if (!isAnswer(error)) session.end(error as Error);
      throw unreadable(session.ended ?? (error as Error));
    }
  }

  async #readThere(request: ReadRequest): Promise<Slice> {
    const { selection, after } = request;
    for (;;) {
      const session = await this.#link.next(Infinity);
      if (!session) throw closed();
      if (after > this.tail) await this.#refresh();
      // What is about to be followed: behind what is read now, all has to come as messages.
      while (this.#readable && this.#follows.isComing(selection)) await this.#follows.change();
      if (!this.#readable) throw closed();
      try {
        const { entries, next, gap } = await this.#slice(session, request);
        if (!this.#readable) throw closed();
        // What lies behind the tail comes with a message, and then once only.
        const tail = Math.max(this.tail, after);
        const seen = entries.filter(({ sequence }) => sequence <= tail);
        return { entries: seen, next: Math.min(next, tail), gap };
      } catch (error) {
        if (error instanceof MillraceError) throw error;
        if (isAnswer(error)) throw unreadable(error);
        session.end(error as Error);
      }
    }
  }

  /** Of what was missed, all that is there. */
  async #fill(channel: string, after: number, through: number): Promise<LinkedEntry[]> {
    const { session } = this.#link;
    if (!session) throw notThere();
    const selection = selectionOf([channel]);
    const found: LinkedEntry[] = [];
    for (let from = after; from < through; ) {
      const { entries, next } = await this.#slice(session, { selection, after: from, limitBytes: missedBytes });
      found.push(...entries.filter(({ sequence }) => sequence <= through));
      from = next;
    }
    return found;
  }

  #slice(session: Session, request: ReadRequest): Promise<FoundSlice> {
    return readSlice(session, request, this.#parts.wideChannels);
  }
}

const closed = () => new MillraceError("closed", "the log is closed");
const unreadable = ({ message }: Error) => new MillraceError("store_failed", `Redis cannot be read: ${message}`);

const newEpochName = (): string => (randomBytes(6).readUIntBE(0, 6) % 36 ** 8).toString(36).padStart(8, "0");

/** Members and scores of a zset, as either protocol answers them. */
function pairsOf(answer: unknown): { channel: string; last: number }[] {
  const flat = (answer as unknown[]).flat();
  const pairs: { channel: string; last: number }[] = [];
  for (let at = 0; at < flat.length; at += 2) pairs.push({ channel: String(flat[at]), last: Number(flat[at + 1]) });
  return pairs;
}
