import { createParser, type StreamEvent } from "../../src/protocol/index.js";
import type { Sink, SinkOwner } from "../../src/sink/index.js";

/** A sink that keeps what it is given, and is full when it is told to be. */
export class RecordingSink implements Sink {
  readonly kind = "recording";
  readonly pendingBytes = 0;
  readonly events: StreamEvent[] = [];
  readonly writes: Uint8Array[] = [];
  /** Answers "full" to every write while set. */
  stalled = false;
  /** Set: its peer does not go when it is ended. */
  lingers = false;
  ended = false;
  closed = false;
  text = "";
  lastEventId = "";
  #owner: SinkOwner | undefined;
  readonly #parser = createParser({
    onEvent: (event) => {
      this.events.push(event);
      this.lastEventId = event.lastEventId;
    },
    onLastEventId: (id) => {
      this.lastEventId = id;
    },
  });

  open(owner: SinkOwner): void {
    this.#owner = owner;
  }

  write(bytes: Uint8Array): boolean {
    if (this.closed) return false;
    this.writes.push(bytes);
    this.text += Buffer.from(bytes).toString();
    this.#parser.feed(bytes);
    return !this.stalled;
  }

  drain(): void {
    this.stalled = false;
    this.#owner?.onDrain();
  }

  end(lastBytes?: Uint8Array): void {
    if (lastBytes) this.write(lastBytes);
    this.ended = true;
    if (!this.lingers) this.destroy();
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.#owner?.onClose();
  }
}
