import type { StreamEvent } from "../../protocol/index.js";
import type { AnyConnectOptions } from "../connect-options.js";
import type { ConnectionError } from "../connection-error.js";
import { remember, remembered } from "../cursor.js";
import { createLine, type Line, type LineTaker } from "../line.js";
import { watchPage } from "../page.js";
import { createSource, type Source } from "../source.js";
import type { ConnectionStatus } from "../status.js";
import { addressWithout } from "./address.js";
import type { Browser, Channel } from "./browser.js";
import { catchUp } from "./catch-up.js";
import { createInbox, type Inbox } from "./inbox.js";
import { type Leader, startLeader } from "./leader.js";
import { type FromLeader, revived, revivedStatus, type ToLeader } from "./messages.js";
import { createPulse, type Pulse } from "./pulse.js";
import { createView, cursorOnly, isEntry } from "./view.js";

type Joined = FromLeader & { readonly kind: "joined" };
type Over = FromLeader & { readonly kind: "over" };

/** Undefined: there is no answer to be had, because all begins anew. */
type Answer = Joined | ConnectionError | undefined;

/** While the tab is one of the group. */
interface Membership {
  /** Names it, and its lock. */
  readonly tab: string;
  readonly channel: Channel;
  readonly pulse: Pulse;
  readonly left: AbortController;
}

/**
 * The line of one tab: what the leader broadcasts, behind what the tab has caught up with.
 *
 *   joining ──(the leader reads its channels, too)──→ catching up ──(at the tail)──→ live
 *      ↑ └───────(another leader, a hole, too much at once, another selection)─────────┘
 *
 * The tab is a cursor. What is broadcast from its joining on waits in its inbox, while it reads by itself what comes before
 * that. Where the two meet, ids tell: positions cannot be compared.
 */
export function createSharedLine(
  browser: Browser,
  group: string,
  source: Source,
  options: AnyConnectOptions,
  taker: LineTaker,
): Line {
  const query = new URL(source.url).searchParams;
  const conflates = query.has("conflate") || query.has("every");
  /** What the hub understands where no channel is named. On a route of an application's own that is the application's to say. */
  const channels = () => source.reads;
  const view = createView(channels, () => source.isEmpty);

  let membership: Membership | undefined;
  let leader: Leader | undefined;
  let candidacy = new AbortController();
  /** Where it cannot share: its own connection. */
  let own: Line | undefined;
  /** The highest that is known: what has a lower one is void. */
  let term = 0;
  let turn = 0;
  const asked = new Map<number, (answer: Answer) => void>();
  /** Fires when all begins anew. */
  let controller = new AbortController();
  let inbox: Inbox<StreamEvent | Over> | undefined;
  /** How many events the leader has broadcast, as far as this tab knows. */
  let heard = 0;
  let live = false;
  let runEnded = false;
  let paused = false;
  let giving: Promise<void> = Promise.resolve();
  let connection: string | undefined;
  let count = 1;
  let leaderStatus: ConnectionStatus | undefined;
  /** Of its catching up, while that waits. */
  let waiting: ConnectionStatus | undefined;
  let status: ConnectionStatus = {
    ...{ state: "connecting", attempt: 0, attempts: options.backoff?.attempts ?? Infinity },
    ...{ error: undefined, reason: undefined, waitMs: undefined, untilMs: undefined, tabs: undefined },
  };
  const isClosed = () => status.state === "closed";
  // Any handler may have closed it: nothing is told after that.
  const tell = (type: string, event: object) => isClosed() || taker.tell(type, event);

  function show(): void {
    if (isClosed() || own) return;
    const of = waiting ?? leaderStatus ?? status;
    const state = paused ? "waiting" : live || of.state === "waiting" ? of.state : "connecting";
    const before = status;
    status = { ...of, state, tabs: { holds: leader !== undefined, count } };
    const { tabs } = before;
    const isSame = tabs?.holds === status.tabs?.holds && tabs?.count === count && before.untilMs === status.untilMs;
    if (!isSame || before.state !== state) tell("state", status);
  }

  function say(message: ToLeader): void {
    membership?.channel.postMessage(message);
  }

  /** One at a time, whatever begins anew meanwhile. */
  function give(event: StreamEvent, ofHub: boolean, signal: AbortSignal): Promise<void> {
    if (event.type === "millrace.end") runEnded = true;
    const given = giving.then(() => (signal.aborted ? undefined : taker.take(event, ofHub, signal)));
    giving = given.catch(() => {});
    return given;
  }

  function enter(): void {
    const left = new AbortController();
    const tab = crypto.randomUUID();
    const channel = browser.openChannel(group);
    channel.onmessage = ({ data }) => hear(data as FromLeader | ToLeader);
    const pulse = createPulse(
      () => say({ kind: "ping" }),
      () => void stand(left.signal, true),
    );
    membership = { tab, channel, pulse, left };
    const held = () => {
      void stand(left.signal, false);
      void run(left.signal);
      return endOf(left.signal);
    };
    // The leader waits for this lock: also a tab that crashes lets go of it.
    browser.locks
      .request(`${group} ${tab}`, { signal: left.signal }, held)
      .catch(() => left.signal.aborted || goAlone());
  }

  function leave(): void {
    if (!membership) return;
    const { tab, channel, pulse, left } = membership;
    say({ kind: "leave", tab });
    membership = undefined;
    leader?.stop();
    leader = undefined;
    left.abort();
    candidacy.abort();
    pulse.stop();
    channel.close();
    rejoin();
  }

  /** Stands for the lead, for as long as it is here; at once where a leader is dead. */
  async function stand(left: AbortSignal, steal: boolean): Promise<void> {
    if (left.aborted || !membership) return;
    candidacy.abort();
    candidacy = new AbortController();
    const mine = candidacy;
    const { tab } = membership;
    let elected: Leader | undefined;
    const lead = () =>
      new Promise<void>((resign) => {
        if (left.aborted) return resign();
        const url = addressWithout(source.url, "channel", "rewind", "lastEventId");
        leader = elected = startLeader({
          ...{ browser, group, tab, url, options, channels: channels(), knownTerm: term },
          resign,
        });
        left.addEventListener("abort", () => resign());
      });
    try {
      await browser.locks.request(group, steal ? { steal } : { signal: mine.signal }, lead);
    } catch {
      // It was stolen, or is not wanted any more.
    }
    elected?.stop();
    if (elected && leader === elected) leader = undefined;
    if (candidacy === mine) void stand(left, false);
  }

  function hear(message: FromLeader | ToLeader): void {
    if (!("term" in message)) return;
    if (message.term < term) {
      say({ kind: "stale", known: term });
      return;
    }
    membership?.pulse.heard();
    const isNew = message.term > term;
    const isFirst = term === 0;
    term = message.term;
    if (message.kind === "lead" || (isNew && !isFirst)) rejoin();
    if (message.kind === "event") heard++;
    if (message.number !== heard) inbox?.fail();
    switch (message.kind) {
      case "joined":
        if (message.tab !== membership?.tab) break;
        connection = message.connection;
        answer(message.turn, message);
        break;
      case "refused":
        if (message.tab === membership?.tab) answer(message.turn, revived(message.error));
        break;
      case "event":
        inbox?.put(view(message.event));
        break;
      case "status":
        leaderStatus = revivedStatus(message.status);
        count = message.count;
        show();
        break;
      case "open":
        connection = message.connection;
        if (live) tell("open", { connection });
        break;
      case "comment":
        if (live) tell("comment", { text: message.text });
        break;
      case "error":
        tell("error", { error: revived(message.error), event: undefined });
        break;
      case "alone":
        goAlone();
        break;
      case "over":
        if (message.tab !== membership?.tab) break;
        if (live) inbox?.put(message);
        else finish(message);
    }
  }

  /** Tells the leader what this tab reads. */
  function ask(onAnswer: (answer: Answer) => void): void {
    if (!membership) {
      onAnswer(undefined);
      return;
    }
    asked.set(++turn, onAnswer);
    say({ kind: "join", tab: membership.tab, turn, channels: channels() });
  }

  /** Whoever was asked before is answered by that, too. */
  function answer(turn: number, given: Joined | ConnectionError): void {
    for (const [each, onAnswer] of [...asked]) {
      if (each > turn) continue;
      asked.delete(each);
      onAnswer(each === turn || "kind" in given ? given : undefined);
    }
  }

  function rejoin(): void {
    controller.abort();
    inbox?.fail();
    for (const onAnswer of asked.values()) onAnswer(undefined);
    asked.clear();
  }

  async function run(left: AbortSignal): Promise<void> {
    while (!left.aborted) {
      controller = new AbortController();
      const { signal } = controller;
      live = false;
      waiting = undefined;
      inbox = undefined;
      show();
      try {
        await follow(signal);
      } catch {
        // What the leader may not read, a tab reads by itself, or is told why it may not.
        if (!signal.aborted) return goAlone();
      }
    }
  }

  /** Joins, catches up, and is live, until something has it begin anew. */
  async function follow(signal: AbortSignal): Promise<void> {
    const { at } = await join();
    const begins = taker.cursor() === "" && !options.snapshot && !query.has("rewind");
    if (begins) await give(cursorOnly(at), true, signal);
    const onStatus = (changed: ConnectionStatus) => {
      if (signal.aborted) return;
      if (changed.state === "closed") return finish({ status: changed });
      waiting = changed.state === "waiting" ? changed : undefined;
      show();
    };
    const read = (from: Source, by: LineTaker) => catchUp(from, options, { ...by, tell }, onStatus, signal);

    /** What the leader has yet to bring when this tab joins: it has had that already, or has it when it has caught up. */
    const ahead = new Set<string>();
    /** What it has had of what came then. */
    const had = new Set<string>();
    const catcher: LineTaker = {
      ...taker,
      take(event, ofHub, signal) {
        if (isEntry(event)) remember(had, event.lastEventId);
        return give(event, ofHub, signal);
      },
    };
    // Unconflated: an older value that the leader still brings must be known for what it is.
    const plain = createSource(addressWithout(source.url, "channel", "conflate", "every"), {
      ...options,
      channels: source.channels,
    });
    if (conflates) await read(source, catcher);
    if (options.snapshot || taker.cursor() !== at) {
      let cursor = at;
      await read(plain, {
        ...taker,
        cursor: () => cursor,
        take(event) {
          if (isEntry(event)) ahead.add(event.lastEventId);
          cursor = event.lastEventId;
        },
      });
    }
    do {
      runEnded = false;
      await read(plain, catcher);
      // Behind the end of its last run a hub answers that nothing follows.
    } while (runEnded);

    signal.throwIfAborted();
    waiting = undefined;
    live = true;
    show();
    if (leaderStatus?.state === "open") tell("open", { connection });
    let met = false;
    while (!runEnded) {
      const item = await inbox?.next();
      if (item === undefined || signal.aborted) return;
      if ("kind" in item) return finish(item);
      // Up to where the two meet, the cursor stays where catching up has left it.
      met ||= isEntry(item) && !ahead.has(item.lastEventId) && !had.has(item.lastEventId);
      if (met) await give(item, true, signal);
    }
  }

  /** Resolves when the leader reads what this tab does: from then on, what it broadcasts is in the inbox. */
  function join(): Promise<Joined> {
    return new Promise((resolve, reject) => {
      ask((answer) => {
        if (!answer || !("kind" in answer)) return reject(answer);
        heard = answer.number;
        inbox = createInbox(remembered, (last, next) =>
          !("kind" in last) && !("kind" in next) && last.type === "" && next.type === "" ? next : undefined,
        );
        resolve(answer);
      });
    });
  }

  function goAlone(): void {
    if (own || isClosed()) return;
    forgetPage();
    leave();
    own = createLine(source, options, { ...taker, take: give });
    own.open();
  }

  function finish({ status: result, gaveUp }: { status: ConnectionStatus; gaveUp?: boolean } | Over): void {
    if (isClosed()) return;
    const closed = revivedStatus(result);
    if (gaveUp) tell("gaveup", { error: closed.error });
    if (isClosed()) return;
    forgetPage();
    leave();
    status = { ...closed, state: "closed", waitMs: undefined, untilMs: undefined, tabs: undefined };
    taker.tell("state", status);
    taker.tell("close", status);
  }

  const forgetPage = watchPage(
    () => {
      if (paused) {
        paused = false;
        enter();
        return;
      }
      membership?.pulse.look();
      say({ kind: "hurry" });
    },
    () => {
      if (paused || !membership) return;
      paused = true;
      leave();
      live = false;
      show();
    },
    options.hiddenMs,
  );

  return {
    get status() {
      return own?.status ?? status;
    },
    open() {
      if (!isClosed()) enter();
    },
    hurry() {
      if (own) own.hurry();
      else say({ kind: "hurry" });
    },
    restart() {
      if (own) own.restart();
      else rejoin();
    },
    async change(add, drop) {
      if (own) return own.change(add, drop);
      const before = source.channels;
      source.change(add, drop);
      if (!live) return rejoin();
      await new Promise<void>((resolve, reject) => {
        ask((answer) => {
          if (!answer || "kind" in answer) return resolve();
          const was = (name: string) => before.includes(name);
          source.change(
            drop.filter(was),
            add.filter((name) => !was(name)),
          );
          ask(() => {});
          reject(answer);
        });
      });
    },
    close() {
      if (own) own.close();
      else finish({ status: { ...status, error: undefined } });
    },
  };
}

const endOf = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
