import type { FallbackOptions } from "./connect-options.js";

/** Streams that are cut so often in a row are not let through. */
const mostCuts = 3;

/**
 * Whether to stream or to poll. A proxy that buffers keeps the bytes of a stream for itself, one that is impatient cuts
 * it; both let a whole answer pass. Only a hub answers to polls: what is none is never polled.
 */
interface Fallback {
  polls(): boolean;
  /** How long the first byte of a stream may take. */
  firstByteMs(): number;
  /** An answer has begun: whether it is a hub's. */
  opened(isHub: boolean): void;
  /** A poll was refused. Answers whether that may be because the server is no hub: then it is not polled again. */
  refused(): boolean;
  /**
   * A stream has ended.
   * @param openMs since its first byte, `Infinity` when it ended as it should; undefined when none came in time
   * @param silent not even heartbeats came any more: the network was away, or a proxy that has let the beginning through
   * holds what follows
   */
  ended(openMs?: number, silent?: boolean): void;
}

export function createFallback(options: FallbackOptions | false = {}): Fallback {
  const { firstByteMs = 8000, cutMs = 10_000, streamAgainMs = 300_000 } = options || {};
  let isHub: boolean | undefined;
  let cuts = 0;
  let streamAtMs = 0;
  const may = () => options && isHub !== false;
  return {
    polls: () => performance.now() < streamAtMs,
    firstByteMs: () => (may() ? firstByteMs : Infinity),
    opened(hub) {
      isHub = hub;
      if (!hub) streamAtMs = 0;
    },
    refused() {
      const unknown = isHub === undefined;
      if (unknown) isHub = false;
      streamAtMs = 0;
      return unknown;
    },
    ended(openMs, silent) {
      if (openMs === undefined) cuts = mostCuts;
      else if (silent) cuts += 2;
      else cuts = openMs < cutMs ? cuts + 1 : 0;
      if (!may() || cuts < mostCuts) return;
      cuts = 0;
      streamAtMs = performance.now() + streamAgainMs;
    },
  };
}
