import { MillraceError, maxTimerMs, type ParserOptions, type StreamEvent } from "../protocol/index.js";
import { backoffMs } from "./backoff.js";
import type { AnyConnectOptions } from "./connect-options.js";
import { ConnectionError } from "./connection-error.js";
import { messageOf } from "./error-event.js";
import { createFallback } from "./fallback.js";
import { watchPage } from "./page.js";
import { createReader } from "./read.js";
import { detailOf, retryAfterMs } from "./refusal.js";
import { refusalOf } from "./request.js";
import type { Source } from "./source.js";
import type { ConnectionState, ConnectionStatus } from "./status.js";
import { createWatchdog } from "./watchdog.js";

/** What events come over. It tells its states to whoever takes the events. */
export interface Line {
  readonly status: ConnectionStatus;
  open(): void;
  /** Does not wait any longer. */
  hurry(): void;
  /** Leaves what is under way, and begins anew with the cursor. */
  restart(): void;
  /** Reads other channels from now on, on the open stream where that is possible. */
  change(add: readonly string[], drop: readonly string[]): Promise<void>;
  close(): void;
}

/** Who takes what comes over a line. */
export interface LineTaker {
  /** The position to begin behind; "" for none. */
  cursor(): string;
  /** Comes before each attempt. Answers with why it has failed. */
  prepare?(signal: AbortSignal): Promise<ConnectionError | undefined>;
  /** The next event waits for it. One of the type "" only moves the cursor. The signal fires when the event is to wait, too. */
  take(event: StreamEvent, ofHub: boolean, signal: AbortSignal): Promise<void> | void;
  /** The type `state` comes with the status itself. */
  tell(type: string, event: object): void;
}

/** A long-poll is answered after 25 seconds at the latest. */
const pollMs = 60_000;

interface Outcome {
  /** What may help: another attempt, now or after a wait, or none. A poll that catches up may have reached the tail. */
  readonly then: "now" | "later" | "never" | "tail";
  /** Why the attempt failed, or was cut; undefined when its answer came to an end. */
  readonly error?: ConnectionError | undefined;
  /** What the server asks to wait at least, in milliseconds. */
  readonly waitMs: number;
}

/**
 * A connection of one's own: attempts, and the waits between them.
 * @param onTail given: it only catches up, by polls that do not wait, and is told when there is no more
 */
export function createLine(source: Source, options: AnyConnectOptions, taker: LineTaker, onTail?: () => void): Line {
  const { openMs = 30_000, silenceMs: givenSilenceMs, backoff = {} } = options;
  const { attempts = Infinity } = backoff;
  const fallback = createFallback(options.fallback);
  let failures = 0;
  let retryMs = 0;
  /** The page is in the browser's cache, or has been hidden for long. */
  let paused = false;
  /** Ends the attempt under way. */
  let controller = new AbortController();
  let wakeUp = () => {};
  /** What the last stream said as it ended. */
  let farewell: { readonly reason: string; readonly reconnect: boolean } | undefined;
  let connection: string | undefined;
  let changing: Promise<unknown> = Promise.resolve();
  const statusOf = (state: ConnectionState, error?: ConnectionError, waitMs?: number): ConnectionStatus => ({
    state,
    attempt: failures,
    attempts,
    error,
    reason: farewell?.reason,
    waitMs,
    untilMs: waitMs === undefined ? undefined : Date.now() + waitMs,
  });
  let status = statusOf("connecting");
  const [watch, fed, look] = createWatchdog((error) => controller.abort(error));
  const reader = createReader(
    {
      onRetry: (ms) => {
        retryMs = ms;
      },
      onComment: (text) => tell("comment", { text }),
    },
    options as ParserOptions,
    true,
  );
  const restart = () => {
    controller.abort();
    wakeUp();
  };
  const forgetPage = watchPage(
    () => {
      paused = false;
      look();
      wakeUp();
    },
    () => {
      paused = true;
      restart();
    },
    options.hiddenMs,
  );
  const isClosed = () => status.state === "closed";
  // Any handler may have closed it: nothing is told after that.
  const tell = (type: string, event: object) => isClosed() || taker.tell(type, event);

  const enter = (state: ConnectionState, error?: ConnectionError, waitMs?: number) => {
    if (isClosed()) return;
    status = statusOf(state, error, waitMs);
    taker.tell("state", status);
  };

  function finish(error?: ConnectionError): void {
    if (isClosed()) return;
    forgetPage();
    enter("closed", error);
    restart();
    taker.tell("close", status);
  }

  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(() => wakeUp(), ms);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  async function open(): Promise<void> {
    let renewed = false;
    while (!isClosed()) {
      if (paused || source.isEmpty) {
        const waited = wait(maxTimerMs);
        enter("waiting");
        await waited;
        continue;
      }
      const polls = onTail !== undefined || fallback.polls();
      controller = new AbortController();
      enter(polls && !onTail ? "polling" : "connecting", status.error);
      const outcome = await attempt(polls, controller.signal);
      if (!outcome || isClosed()) continue; // to begin anew, or not to
      const { then, error, waitMs } = outcome;
      if (error) tell("error", { error, event: undefined });
      if (isClosed()) return;
      // A token may have expired: once more, with another.
      renewed = error?.status === 401 && source.hasFreshHeaders && !renewed;
      if (farewell?.reconnect === false || (then === "never" && !renewed)) return finish(error);
      if (then === "tail") {
        status = statusOf("closed");
        forgetPage();
        return onTail?.();
      }
      if (renewed || then === "now") continue;
      if (error && ++failures >= attempts) {
        tell("gaveup", { error });
        return finish(error);
      }
      const delayMs = Math.min(Math.max(waitMs, retryMs) + backoffMs(backoff, failures), maxTimerMs);
      const waited = wait(delayMs); // before it is told: a handler may end it
      enter("waiting", error, delayMs);
      await waited;
    }
  }

  /** From what comes before the request to the end of its answer. Undefined when it was to end before that. */
  async function attempt(polls: boolean, signal: AbortSignal): Promise<Outcome | undefined> {
    farewell = undefined;
    const before = taker.cursor();
    let startedMs = Infinity;
    let error: ConnectionError | undefined;
    let then: Outcome["then"] = "later";
    let waitMs = 0;
    let silenceMs = givenSilenceMs;
    let heardAtMs: number | undefined;
    const hear = () => {
      fed();
      failures = 0;
      if (heardAtMs === undefined) watch(silenceMs ?? Infinity, silent);
      heardAtMs ??= performance.now();
    };
    try {
      signal.throwIfAborted();
      watch(openMs, "there was no answer"); // a snapshot, too, may hang
      error = await Promise.race([taker.prepare?.(signal), abortOf(signal)]);
      if (error) throw error;
      signal.throwIfAborted();
      startedMs = performance.now();
      watch(polls ? Math.max(openMs, pollMs) : Math.min(openMs, fallback.firstByteMs()), "there was no answer");
      const asked = source.ask(taker.cursor(), polls ? (onTail ? "0" : "") : undefined, signal);
      // A fetch of the user's own may ignore the signal.
      const response = await Promise.race([asked, abortOf(signal)]);
      const { status, body } = response;
      const header = (name: string) => response.headers.get(`millrace-${name}`);
      const refusal = refusalOf(response);
      if (refusal) {
        if (status < 500 && ![408, 425, 429].includes(status)) then = "never";
        waitMs = retryAfterMs(response);
        const detail = await detailOf(response);
        // After 204 the server has no more to say.
        if (status !== 204)
          throw new ConnectionError("refused", detail ? `${refusal}: ${detail}` : refusal, { status });
      } else {
        const isHub = !!header("position");
        fallback.opened(isHub);
        silenceMs ??= Number(header("heartbeat-ms")) * 3 || Infinity;
        watch(polls ? silenceMs : Math.min(silenceMs, fallback.firstByteMs()), silent);
        if (polls) then = onTail && !header("more") ? "tail" : "now";
        else {
          connection = header("connection") ?? undefined;
          enter("open");
          tell("open", { connection });
        }
        for await (const event of body ? reader.read(body, signal, hear) : []) {
          if (signal.aborted) break;
          if (event.type === "millrace.close") farewell = JSON.parse(event.data);
          await taker.take(event, isHub, signal);
        }
      }
    } catch (cause) {
      // An event that is too long, or an id that cannot be sent, would be so again.
      const isFinal = cause instanceof MillraceError;
      if (isFinal && !(cause instanceof ConnectionError)) then = "never";
      else if (then !== "never") then = "later";
      error =
        cause instanceof ConnectionError
          ? cause
          : new ConnectionError(isFinal ? cause.code : "connection_lost", messageOf(cause), { cause });
    }
    watch(Infinity);
    connection = undefined;
    if (signal.aborted) {
      // By the watchdog, or else to begin anew.
      if (!(signal.reason instanceof ConnectionError)) return undefined;
      error = signal.reason;
      then = "later";
    }
    const tookMs = performance.now() - startedMs;
    if (polls) {
      // A proxy's word that the hub is away says nothing of streams.
      if (error?.code === "refused" && then === "never" && !onTail && fallback.refused()) then = "later";
      // A server that answers at once, with nothing, is not asked again at once.
      if (then === "now" && before && before === taker.cursor() && tookMs < 500) then = "later";
    } else {
      const timedOut = error?.code === "timed_out";
      if (heardAtMs !== undefined) fallback.ended(farewell ? Infinity : performance.now() - heardAtMs, timedOut);
      else if (timedOut && tookMs >= fallback.firstByteMs()) fallback.ended();
      if (then === "later" && !farewell) {
        error ??= new ConnectionError("connection_lost", "the stream has ended, and did not say why");
      }
    }
    return { then, error, waitMs };
  }

  return {
    get status() {
      return status;
    },
    open: () => void open(),
    hurry: () => wakeUp(),
    restart,
    change(add, drop) {
      const { channels } = source;
      source.change(add, drop);
      // One after the other: an `add` and a `drop` under way at once would be done in any order.
      const changed = changing.then(async () => {
        if (connection !== undefined && channels.length > 0) {
          const refusal = await source.changeOpen(connection, add, drop);
          if (!refusal) return;
          if (refusal.status !== undefined && refusal.status !== 404) {
            const was = (name: string) => channels.includes(name);
            source.change(
              drop.filter(was),
              add.filter((name) => !was(name)),
            );
            throw refusal;
          }
        }
        // A stream that cannot be changed is asked for anew, with the same cursor.
        restart();
      });
      changing = changed.catch(() => {});
      return changed;
    },
    close: () => finish(),
  };
}

const silent = "nothing came, not even a heartbeat";

const abortOf = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
