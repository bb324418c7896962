import { encodeBlock } from "./encode.js";

/**
 * The id of a stream's last block when the client shall not come back. The native `EventSource` always reconnects; a
 * request that carries this id is answered 204, which ends it for good (WHATWG HTML, "Server-sent events").
 */
export const closedId = "millrace.closed";

/** Why a history has a hole, as `millrace.gap` tells it. */
export interface GapData {
  /** `dropped`: entries were removed by retention. `unknown`: the position is not of this log, or its tail was lost. */
  readonly reason: "dropped" | "unknown";
  /** False: something of the selection was lost. True: something may have been, it is not known. */
  readonly may: boolean;
  /** The selected channels concerned, at most 100; empty when it cannot be said. */
  readonly channels: readonly string[];
}

/**
 * The first block of a stream: the reconnection time, and a cursor before any event has come. No cursor while a gap is
 * still to be said: a client that is cut in front of it would come back with a good one, and never be told.
 */
export const openBlock = (retryMs: number, id: string | undefined): string => encodeBlock({ retry: retryMs, id });

/** Moves the last event id, dispatches nothing. */
export const cursorBlock = (id: string): string => encodeBlock({ id });

/** Keeps proxies from closing the stream, and tells the cursor, where there is one. */
export const keepaliveBlock = (timeMs: number, id?: string): string =>
  encodeBlock({ comment: `keepalive ${timeMs}`, id });

/** The same as an event that page code sees. */
export const heartbeatBlock = (timeMs: number, id?: string): string =>
  encodeBlock({ id, event: "heartbeat", data: JSON.stringify({ type: "heartbeat", timestamp: timeMs }) });

export const gapBlock = (id: string, gap: GapData): string =>
  encodeBlock({ id, event: "millrace.gap", data: JSON.stringify(gap) });

/** The last block of a stream whose client may come back, after `retryMs` or what it was told before. No id: as for `openBlock`. */
export const closeBlock = (id: string | undefined, reason: string, retryMs: number | undefined): string =>
  encodeBlock({ id, event: "millrace.close", retry: retryMs, data: JSON.stringify({ reason, reconnect: true }) });

/** The last block of a stream whose client shall not come back. */
export const farewellBlock = (reason: string): string =>
  encodeBlock({ id: closedId, event: "millrace.close", data: JSON.stringify({ reason, reconnect: false }) });
