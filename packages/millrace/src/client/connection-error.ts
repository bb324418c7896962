import { MillraceError, type MillraceErrorCode } from "../protocol/index.js";

/** Why a connection is not open, or an event was not given to its handlers. */
export class ConnectionError extends MillraceError {
  /** The status that the server has answered with; undefined when it was no answer that failed. */
  readonly status: number | undefined;

  constructor(code: MillraceErrorCode, message: string, options: { status?: number; cause?: unknown } = {}) {
    super(code, message, options);
    this.status = options.status;
  }
}
