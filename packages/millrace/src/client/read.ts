import { createParser, type ParserHandlers, type ParserOptions, type StreamEvent } from "../protocol/index.js";
import type { BodyLike } from "./web-types.js";

/** Reads the bodies of one stream's responses, one after the other. */
export interface EventReader {
  /**
   * The events of a body, to its end. Leaving the loop cancels the body, and so does the signal. A task of its own for
   * each event, as a browser gives it, there is not; but what a handler has queued as microtasks runs before the next.
   * @param onBytes called with each chunk, before its events
   * @throws MillraceError `block_too_large`, after the events before it; and what the body fails with
   */
  read(body: BodyLike, signal: AbortSignal, onBytes?: () => void): AsyncGenerator<StreamEvent, void, void>;
  /** The id to come back with. It outlives a body, as in browsers; by the letter of the standard it would not. */
  readonly lastEventId: string;
}

/** @param cursors whether a block that only moves the id comes, too, in its place: as an event of the type "" */
export function createReader(
  handlers: Pick<ParserHandlers, "onRetry" | "onComment">,
  options: ParserOptions,
  cursors = false,
): EventReader {
  const waiting: StreamEvent[] = [];
  const onEvent = (event: StreamEvent) => void waiting.push(event);
  const onLastEventId = (lastEventId: string) => onEvent({ type: "", data: "", lastEventId, channel: undefined });
  const parser = createParser({ ...handlers, onEvent, ...(cursors && { onLastEventId }) }, options);

  async function* read(body: BodyLike, signal: AbortSignal, onBytes?: () => void) {
    parser.reset();
    const reader = body.getReader();
    // Not left to the signal of fetch: a fetch of the user's own may ignore it. A body that has failed refuses.
    const cancel = () => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", cancel);
    if (signal.aborted) cancel();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        onBytes?.();
        try {
          parser.feed(value as Uint8Array);
        } finally {
          yield* waiting.splice(0);
        }
      }
    } finally {
      signal.removeEventListener("abort", cancel);
      cancel();
    }
  }

  return {
    read,
    get lastEventId() {
      return parser.lastEventId;
    },
  };
}
