import dns from "node:dns";
import type net from "node:net";
import { sourceAddress } from "./addresses.js";
import { createHistogram, type Histogram, record } from "./histogram.js";
import { createMarker, envelopeTime } from "./marker.js";
import { type Failure, type Shared, Stream } from "./stream.js";
import type { StreamTarget } from "./target.js";

/** What one thread does. Plain data: it goes between threads. */
export interface Job {
  readonly target: StreamTarget;
  readonly connections: number;
  /** How many the threads before this one have: its source addresses begin behind theirs. */
  readonly before: number;
  /** When the first one begins, and how long after it each further one does. */
  readonly firstMs: number;
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** Where an event's time is: in marks of this run, in the envelope, or nowhere. */
  readonly times: { readonly run: string } | "envelope" | "none";
}

/** What has happened so far. */
export interface Counts {
  opened: number;
  failed: number;
  /** They had opened, and ended. */
  lost: number;
  events: number;
  bytes: number;
  dataBytes: number;
  /** Events of this run that the open streams have: different ones, and ones that came again. */
  received: number;
  twice: number;
  /** How long this thread was at work: of several the busiest. */
  busyMs: number;
  readonly open: Histogram;
  readonly latency: Histogram;
  failures: readonly (Failure & { readonly count: number })[];
}

export interface Load {
  /** Resolves when every connection has opened or failed. */
  readonly settled: Promise<void>;
  /** Resolves when none is open any more, and none will be. */
  readonly over: Promise<void>;
  counts(): Counts;
  stop(): void;
}

/** So many are begun without a look at what has come: the time to open is to be the server's. */
const atOnce = 20;
const bufferBytes = 64 * 1024;

/** Opens streams and counts what they bring, in this thread. */
export function startLoad({ target, connections, before, firstMs, everyMs, timeoutMs, times }: Job): Load {
  const streams = new Set<Stream>();
  const failures = new Map<string, Failure & { count: number }>();
  const counts: Counts = {
    ...{ opened: 0, failed: 0, lost: 0, events: 0, bytes: 0, dataBytes: 0, received: 0, twice: 0, busyMs: 0 },
    ...{ open: createHistogram(), latency: createHistogram(), failures: [] },
  };
  const settled = createSignal();
  const over = createSignal();
  const settle = () => {
    if (counts.opened + counts.failed < connections) return;
    settled.give();
    if (counts.opened === counts.lost) over.give();
  };
  const shared: Shared = {
    target,
    timeoutMs,
    lookup: rememberedLookup(),
    buffer: Buffer.allocUnsafeSlow(bufferBytes),
    marks: times === "none" ? undefined : times === "envelope" ? envelopeTime : createMarker(times.run),
    found: {
      event: () => counts.events++,
      data: (bytes) => {
        counts.dataBytes += bytes;
      },
      bytes: (count) => {
        counts.bytes += count;
      },
      aged: (ageMs) => record(counts.latency, ageMs),
      twice: () => counts.twice++,
    },
    opened: (_, afterMs) => {
      counts.opened++;
      record(counts.open, afterMs);
      settle();
    },
    ended: (stream, failure) => {
      streams.delete(stream);
      if (stream.open) counts.lost++;
      else counts.failed++;
      const key = `${failure.kind} ${failure.detail}`;
      const known = failures.get(key);
      if (known) known.count++;
      else failures.set(key, { ...failure, count: 1 });
      settle();
    },
  };

  const beganMs = performance.now();
  let begun = 0;
  let timer: NodeJS.Timeout | undefined;
  const begin = () => {
    for (let now = 0; now < atOnce && begun < connections; now++) {
      const waitMs = beganMs + firstMs + begun * everyMs - performance.now();
      if (waitMs > 0) {
        timer = setTimeout(begin, waitMs);
        return;
      }
      streams.add(new Stream(shared, sourceAddress(target.host, before + begun++)));
    }
    if (begun < connections) timer = setTimeout(begin);
  };
  begin();

  return {
    settled: settled.given,
    over: over.given,
    counts() {
      let received = 0;
      for (const stream of streams) if (stream.open) received += stream.received;
      return {
        ...counts,
        received,
        busyMs: performance.eventLoopUtilization().active,
        failures: [...failures.values()],
      };
    },
    stop() {
      clearTimeout(timer);
      for (const stream of streams) stream.stop();
      streams.clear();
    },
  };
}

function createSignal() {
  let give = () => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give };
}

/** A name is looked up once, not by each connection: that takes one of four threads, one after the other. */
function rememberedLookup(): net.LookupFunction {
  const known = new Map<string, Promise<dns.LookupAddress[]>>();
  return (host, { all }, callback) => {
    const found = known.get(host) ?? dns.promises.lookup(host, { all: true });
    known.set(host, found);
    found.then(
      (addresses) => {
        const [{ address, family } = { address: "", family: 0 }] = addresses;
        if (all) callback(null, addresses);
        else callback(null, address, family);
      },
      (error) => callback(error, ""),
    );
  };
}
