import { checkCount, checkMs } from "./check.js";
import { pause } from "./iteration.js";
import { rounded } from "./rounded.js";

/** What the self-test needs of a stream. */
export interface TestedStream {
  readonly id: string;
  /** Aborted when the stream is over. */
  readonly signal: AbortSignal;
  /** Resolves when the client can take more; rejects when the stream is over. */
  send(event: { readonly event: string; readonly id?: string; readonly data: object }): Promise<void>;
}

export interface SelfTestOptions {
  /** Default 1,000. */
  readonly events?: number | undefined;
  /** The time from one event to the next, on the mean, in milliseconds; more than 0. Default 1. */
  readonly everyMs?: number | undefined;
  /** Told of every hundredth event. Default `console.log`. */
  readonly log?: ((line: string) => void) | undefined;
}

/** A beat that was missed is made up for; after so many without a wait, other work has its turn. */
const turnEvents = 100;

/**
 * A stream that measures itself: `app.get("/self-test", eventStream(selfTest()))`.
 *
 * Each event is a `test` with its sequence as id and
 * `{ sequence, timestamp, client_id, previous_us }`: its number from 1 on, milliseconds since 1970, the stream's id, and
 * how long the event before took to be handed over, in microseconds (`null` for the first). The last one is a `summary`:
 * `{ total_events, total_time_ms, mean_time_ms, mean_send_us, events_per_second }`, where `mean_time_ms` is from one event
 * to the next and `mean_send_us` the mean time to hand one over. A client that leaves ends it, without a summary; a slow
 * one is waited for, and the summary says so.
 * @throws MillraceError `invalid_option`
 */
export function selfTest(options: SelfTestOptions = {}): (stream: TestedStream) => Promise<void> {
  const { events = 1000, everyMs = 1, log = console.log } = options;
  checkCount("events", events, 1);
  checkMs("everyMs", everyMs, Number.MIN_VALUE);
  return async (stream) => {
    const startMs = performance.now();
    let sendMs = 0;
    let previousUs: number | null = null;
    for (let sequence = 1; sequence <= events; sequence++) {
      // A timer waits a whole millisecond at least, and is late: so each event has its time, counted from the start, and
      // those whose time has come leave without a wait. One timer after the other gave 900 events a second.
      const earlyMs = startMs + sequence * everyMs - performance.now();
      if (earlyMs > 0 || sequence % turnEvents === 0) await pause(earlyMs, stream.signal);
      if (stream.signal.aborted) return;
      const data = { sequence, timestamp: Date.now(), client_id: stream.id, previous_us: previousUs };
      const beforeMs = performance.now();
      await stream.send({ event: "test", id: `${sequence}`, data });
      const tookMs = performance.now() - beforeMs;
      sendMs += tookMs;
      previousUs = Math.round(tookMs * 1000);
      // Not the stream's id, which a mount may take from the client.
      if (sequence % 100 === 0) log(`self-test: event ${sequence} of ${events} in ${previousUs} µs`);
    }
    const totalMs = performance.now() - startMs;
    const data = {
      total_events: events,
      total_time_ms: rounded(totalMs, 3),
      mean_time_ms: rounded(totalMs / events, 3),
      mean_send_us: rounded((sendMs * 1000) / events, 1),
      events_per_second: rounded((events * 1000) / totalMs, 1),
    };
    await stream.send({ event: "summary", data });
  };
}
