/** Who writes to a sink: it is told when the sink takes bytes again, and when it is gone. */
export interface SinkOwner {
  /** The sink was full and has emptied. */
  onDrain(): void;
  /** The peer is gone, or the sink was ended. Called once. */
  onClose(): void;
}

/** The next part of the compressed stream that a group is written: the same bytes for everyone who can read them. */
export interface SharedPart {
  readonly bytes: Uint8Array;
  /** Different for every part. Not 0. */
  readonly serial: number;
  /** The part that it refers to, and can be read behind; 0: none, so anyone can read it. */
  readonly follows: number;
  /** Set by a sink that had to be written the bytes alone. */
  missed: boolean;
}

/**
 * Where a subscriber's bytes go: a socket, an HTTP/2 stream, a Fetch body, a long-poll answer.
 *
 * Bytes are shared with other sinks: an implementation never changes them, nor hands them to anything that does.
 */
export interface Sink {
  /** What it is, for people: `http/1.1`, `http/2`, `fetch`, `poll`. */
  readonly kind: string;
  /** Names the owner. Called once, before the first write. */
  open(owner: SinkOwner): void;
  /** It has been written all that there is for it. */
  atTail?(): void;
  /**
   * Takes the bytes, always. False: the peer is slower than the writer, wait for `onDrain` before the next.
   * @param shared the same bytes as a part of a compressed stream, for sinks whose peers read one
   */
  write(bytes: Uint8Array, shared?: SharedPart): boolean;
  /** What was written and has not left this process yet. */
  readonly pendingBytes: number;
  /** Ends in order, after what was written. `lastBytes` are the farewell. */
  end(lastBytes?: Uint8Array): void;
  /** Ends at once. */
  destroy(): void;
}
