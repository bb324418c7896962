/**
 * Every code that Millrace reports, with what it means. `docs/errors.md` lists them with what to do.
 *
 * - `invalid_event`: an event to publish is malformed
 * - `invalid_channel`: a channel name or a selection is malformed or not allowed there
 * - `invalid_option`: an option contradicts another or is out of range
 * - `block_too_large`: a stream sent an event larger than the parser's cap
 * - `idempotency_conflict`: the idempotency key was used before with other events
 * - `store_full`: no space on the store's disk; nothing of the publish was kept
 * - `store_failed`: the store cannot write; nothing of the publish was kept
 * - `store_unsure`: the store did not confirm the publish: whether it was kept is not known
 * - `store_locked`: another process has the store open
 * - `store_newer`: the store was written by a newer format than this version reads
 * - `connection_gone`: an event was published to a connection that is not there; nothing was kept
 * - `run_active`: only its run may write to a channel, and there is one at a time
 * - `run_ended`: the run on a channel has ended; nothing follows
 * - `stream_closed`: a stream was written to after its end
 * - `stream_full`: a stream was written to without waiting, faster than its client reads, and has been cut
 * - `closed`: the hub or the log has been closed
 * - `connection_lost`: a client did not reach the server, or its stream was cut
 * - `timed_out`: a client has waited for too long, for an answer or for anything to come
 * - `refused`: a server has answered with something that is no stream
 * - `invalid_data`: an event's data is not what a client expects
 */
export type MillraceErrorCode =
  | "invalid_event"
  | "invalid_channel"
  | "invalid_option"
  | "block_too_large"
  | "idempotency_conflict"
  | "store_full"
  | "store_failed"
  | "store_unsure"
  | "store_locked"
  | "store_newer"
  | "connection_gone"
  | "run_active"
  | "run_ended"
  | "stream_closed"
  | "stream_full"
  | "closed"
  | "connection_lost"
  | "timed_out"
  | "refused"
  | "invalid_data";

/** The one error class of the project: test `code`, show `message`. */
export class MillraceError extends Error {
  override readonly name = "MillraceError";
  readonly code: MillraceErrorCode;

  constructor(code: MillraceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
