import { clean } from "./client.js";
import type { Session } from "./session.js";

export interface LinkParts {
  /** Opens a session; `onEnd` is to be called when it is over. */
  readonly open: (onEnd: (error: Error) => void) => Promise<Session>;
  /** Makes it ready. */
  readonly resume: (session: Session) => Promise<void>;
  readonly onDown: () => void;
  readonly onNotice: (message: string) => void;
  /** How long opening and making ready may take, in milliseconds. */
  readonly timeoutMs: number;
}

const leastPauseMs = 50;
const mostPauseMs = 2000;

/** Keeps a session with Redis: opens another one when it is lost, after pauses that grow and that chance varies. */
export class Link {
  readonly #parts: LinkParts;
  readonly #waiting = new Set<(session: Session | undefined) => void>();
  #session: Session | undefined;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  /** The session, when it is ready. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Opens the first session. @throws what is wrong, when there is none */
  async start(): Promise<void> {
    await this.#open();
  }

  /** The session, or the next one; undefined when there is none in time, or no more. */
  next(withinMs: number): Promise<Session | undefined> {
    if (this.#session || this.#closed) return Promise.resolve(this.#session);
    return new Promise((resolve) => {
      const timer = withinMs < Infinity ? setTimeout(() => done(undefined), withinMs).unref() : undefined;
      const done = (session: Session | undefined) => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve(session);
      };
      this.#waiting.add(done);
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    const session = this.#session;
    this.#session = undefined;
    session?.end(new Error("the log is closed"));
    this.#wake(undefined);
  }

  #wake(session: Session | undefined): void {
    for (const done of [...this.#waiting]) done(session);
  }

  async #open(): Promise<void> {
    const { open, resume, timeoutMs } = this.#parts;
    let session: Session | undefined;
    const opening = open((error) => this.#down(session, error));
    session = await within(timeoutMs, opening).catch((error) => {
      opening.then((late) => late.end(error)).catch(() => {});
      throw error;
    });
    try {
      await within(timeoutMs, resume(session));
      if (session.ended) throw session.ended;
      if (this.#closed) throw new Error("the log is closed");
    } catch (error) {
      session.end(error as Error);
      throw error;
    }
    this.#session = session;
    this.#wake(session);
  }

  #down(session: Session | undefined, error: Error): void {
    if (!session || session !== this.#session) return;
    this.#session = undefined;
    if (this.#closed) return;
    this.#parts.onDown();
    this.#parts.onNotice(`Redis is lost (${error.message}): publishing is refused until it is back`);
    this.#retry(leastPauseMs, error.message);
  }

  #retry(pauseMs: number, told: string): void {
    if (this.#closed) return;
    this.#timer = setTimeout(
      () => {
        this.#open().then(
          () => {
            if (this.#session) this.#parts.onNotice("Redis is there again: publishing goes on");
          },
          (error) => {
            const { message } = clean(error);
            if (this.#closed) return;
            if (message !== told) this.#parts.onNotice(`Redis is not back yet: ${message}`);
            this.#retry(Math.min(mostPauseMs, pauseMs * 2), message);
          },
        );
      },
      pauseMs * (0.5 + Math.random() / 2),
    );
    this.#timer.unref();
  }
}

/** @throws Error when it takes longer */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Redis has not answered within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
