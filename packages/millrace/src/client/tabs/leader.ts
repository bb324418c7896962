import { closedId } from "../../protocol/index.js";
import type { AnyConnectOptions } from "../connect-options.js";
import { ConnectionError } from "../connection-error.js";
import { createLine, type LineTaker } from "../line.js";
import { createSource } from "../source.js";
import type { Browser } from "./browser.js";
import { type FromLeader, plain, plainStatus, type ToLeader } from "./messages.js";

export interface LeaderParts {
  readonly browser: Browser;
  /** The name of the group: of its channel, and of its locks. */
  readonly group: string;
  /** The tab that it is in. */
  readonly tab: string;
  /** What all tabs ask for, but for their channels. */
  readonly url: string;
  readonly options: AnyConnectOptions;
  /** Those of its tab. */
  readonly channels: readonly string[];
  /** Of all terms that its tab knows of, the highest. */
  readonly knownTerm: number;
  /** Its connection is closed for good, for what other tabs read: another may have more luck. */
  readonly resign: () => void;
}

export interface Leader {
  stop(): void;
}

type Join = ToLeader & { readonly kind: "join" };

type Unsent<M> = M extends FromLeader ? Omit<M, "term" | "number"> : never;

const againMs = 1000;

/**
 * The tab that holds the lock. It has the connection, over the channels of all tabs, and broadcasts what comes over it, with
 * numbers. It does not know where the others are in the log: that is theirs.
 */
export function startLeader(parts: LeaderParts): Leader {
  const { browser, group, tab: ownTab, options, resign } = parts;
  const channel = browser.openChannel(group);
  const source = createSource(parts.url, { ...options, channels: parts.channels });
  /** What each tab reads. */
  const members = new Map([[ownTab, parts.channels]]);
  const stopped = new AbortController();
  let term = Math.max(Date.now(), parts.knownTerm + 1);
  let number = 0;
  /** The position behind what was broadcast last; "" before the first. */
  let at = "";
  /** Who waits until it is live. */
  let waiting: (() => void)[] = [];
  let gaveUp = false;
  let admitting: Promise<void> = Promise.resolve();

  const say = (message: Unsent<FromLeader>) => {
    if (!stopped.signal.aborted) channel.postMessage({ ...message, term, number });
  };
  const sayStatus = () => say({ kind: "status", status: plainStatus(line.status), count: members.size });
  const isLive = () => at !== "" && (line.status.state === "open" || line.status.state === "polling");

  let connection: string | undefined;

  const taker: LineTaker = {
    cursor: () => at,
    take(event, ofHub) {
      if (!ofHub) say({ kind: "alone" });
      if (event.lastEventId !== closedId) at = event.lastEventId;
      number++;
      say({ kind: "event", event });
      if (isLive()) for (const go of waiting.splice(0)) go();
    },
    tell(type, event) {
      if (type === "state" && line.status.state !== "closed") sayStatus();
      else if (type === "open") {
        ({ connection } = event as { connection: string | undefined });
        say({ kind: "open", connection });
      } else if (type === "comment") say({ kind: "comment", ...(event as { text: string }) });
      else if (type === "error") say({ kind: "error", error: plain((event as { error: ConnectionError }).error) });
      else if (type === "gaveup") gaveUp = true;
      else if (type === "close") over();
    },
  };
  const line = createLine(source, { ...options, hiddenMs: undefined }, taker);

  /** A refusal may be about the channels of another tab. */
  function over(): void {
    const own = members.get(ownTab);
    const isRefused = !gaveUp && line.status.error?.code === "refused";
    if (isRefused && source.channels.some((name) => !own?.includes(name))) resign();
    else say({ kind: "over", tab: ownTab, status: plainStatus(line.status), gaveUp });
  }

  function join(message: Join): void {
    const { tab, channels } = message;
    const isNew = !members.has(tab);
    members.set(tab, channels);
    if (isNew) {
      void awaitEnd(tab);
      sayStatus();
    }
    // One after the other: what the tab before has asked for is not read until the hub has said so.
    admitting = admitting.then(() => admit(message));
  }

  /** Reads what the tab reads, too, and tells it. */
  async function admit({ tab, turn, channels }: Join): Promise<void> {
    // It has left meanwhile, or wants something else.
    const isVoid = () => stopped.signal.aborted || members.get(tab) !== channels;
    if (!isLive() && !isVoid()) await new Promise<void>((resolve) => waiting.push(resolve));
    if (isVoid()) return;
    try {
      const missing = channels.filter((name) => !source.channels.includes(name));
      // Of a poll that is refused it is not known for which of its channels.
      if (missing.length > 0 && line.status.state === "polling") {
        throw new ConnectionError("refused", "channels are added to streams only");
      }
      if (missing.length > 0) await line.change(missing, []);
      if (isVoid()) return;
      say({ kind: "joined", tab, turn, at, connection });
      prune();
    } catch (error) {
      if (isVoid()) return;
      const { status = 0 } = error as ConnectionError;
      if (status === 429 || status >= 500) {
        setTimeout(() => isVoid() || join({ kind: "join", tab, turn, channels }), againMs);
        return;
      }
      members.delete(tab);
      say({ kind: "refused", tab, turn, error: plain(error as ConnectionError) });
    }
  }

  function leave(tab: string): void {
    if (!members.delete(tab)) return;
    prune();
    sayStatus();
  }

  /** A tab holds a lock for as long as it is there: also one that crashes lets go of it. */
  async function awaitEnd(tab: string): Promise<void> {
    try {
      await browser.locks.request(`${group} ${tab}`, { signal: stopped.signal }, async () => leave(tab));
    } catch {
      // Stopped.
    }
  }

  /** Drops what nobody reads any more. */
  function prune(): void {
    const read = new Set([...members.values()].flat());
    const unread = source.channels.filter((name) => !read.has(name));
    if (unread.length > 0) line.change([], unread).catch(() => {});
  }

  /** Who holds the lock has the highest term. One that it was stolen from learns of that while it asks. */
  async function raise(known: number): Promise<void> {
    if (known < term) return;
    await browser.locks.query();
    if (stopped.signal.aborted || known < term) return;
    term = known + 1;
    lead();
  }

  function lead(): void {
    say({ kind: "lead" });
    sayStatus();
  }

  channel.onmessage = ({ data }) => {
    const message = data as ToLeader | FromLeader;
    if ("term" in message) void raise(message.term);
    else if (message.kind === "stale") void raise(message.known);
    else if (message.kind === "join") join(message);
    else if (message.kind === "leave") leave(message.tab);
    else if (message.kind === "ping") say({ kind: "pong" });
    else line.hurry();
  };
  lead();
  line.open();
  return {
    stop() {
      if (stopped.signal.aborted) return;
      stopped.abort();
      line.close();
      channel.close();
      waiting = [];
    },
  };
}
