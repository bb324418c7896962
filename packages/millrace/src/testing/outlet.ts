import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Flow, Manner } from "./flow.js";

/** The way of one answer to its client: head and body pass as the flow says, or as the answer itself says. */
export class Outlet {
  /** Aborted when the client has gone, or was sent away. */
  readonly gone: AbortSignal;
  readonly #response: ServerResponse;
  readonly #flow: Flow;
  readonly #own: Manner;
  #head: { readonly status: number; readonly headers: OutgoingHttpHeaders } | undefined;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #passedBytes = 0;
  /** One thing after the other, also what a change of the flow sets going. */
  #last: Promise<void> = Promise.resolve();
  #wake: (() => void) | undefined;

  constructor(response: ServerResponse, flow: Flow, own: Manner = {}) {
    this.#response = response;
    this.#flow = flow;
    this.#own = own;
    const controller = new AbortController();
    this.gone = controller.signal;
    const forget = flow.onChange(() => {
      this.#wake?.();
      void this.#then(() => this.#pass());
    });
    response.on("error", () => {});
    const leave = () => {
      forget();
      controller.abort();
      this.#wake?.();
    };
    if (response.destroyed) leave();
    else response.on("close", leave);
  }

  /**
   * @param last whether the connection is closed after it: browsers repeat by themselves a request that is cut on one that
   * has served before. Not for an answer that may be cut on its way: Node's `fetch` takes that for its end then.
   */
  open(status: number, headers: OutgoingHttpHeaders, last = false): Promise<void> {
    if (last) this.#response.shouldKeepAlive = false;
    this.#head = { status, headers };
    return this.write(new Uint8Array());
  }

  /** Resolves when the bytes are on their way, or are kept back; not while nothing goes. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#then(async () => {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
      await this.#pass();
    });
  }

  end(): Promise<void> {
    return this.#then(async () => {
      // What a proxy has in whole it sends in whole.
      if (!this.#response.headersSent && this.#head && this.#heldBytes > 0) {
        const { status, headers } = this.#head;
        this.#head = { status, headers: { ...headers, "content-length": String(this.#heldBytes) } };
      }
      await this.#pass(true);
      this.#response.end();
    });
  }

  cut(): void {
    this.#response.destroy();
  }

  pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.gone }).catch(() => {});
  }

  /** Resolves when something may go. */
  ready(): Promise<void> {
    return this.#then(() => this.#unlessStalled());
  }

  #manner(): Manner {
    return { ...this.#flow.manner, ...this.#own };
  }

  async #unlessStalled(): Promise<void> {
    while (this.#flow.manner.stalls && !this.gone.aborted) await this.#woken(() => {});
  }

  async #pass(all = false): Promise<void> {
    await this.#unlessStalled();
    if (!all && this.#heldBytes < (this.#manner().holdBytes ?? 0)) return;
    const bytes = Buffer.concat(this.#held.splice(0));
    this.#heldBytes = 0;
    this.#sendHead();
    for (let at = 0; !this.gone.aborted; ) {
      await this.#unlessStalled();
      const { trickle, cutAfterBytes = Infinity } = this.#manner();
      if (this.#passedBytes >= cutAfterBytes) return this.cut();
      if (at === bytes.length) return;
      const size = Math.min(trickle ? (trickle.bytes ?? 1) : Infinity, cutAfterBytes - this.#passedBytes);
      const piece = bytes.subarray(at, at + size);
      at += piece.length;
      this.#passedBytes += piece.length;
      // Only then does the next piece come in a packet of its own.
      await this.#woken((done) => this.#response.write(piece, done));
      if (trickle) await this.pause(trickle.everyMs ?? 1);
    }
  }

  #sendHead(): void {
    if (this.#head === undefined || this.#response.headersSent || this.gone.aborted) return;
    const { status, headers } = this.#head;
    this.#response.writeHead(status, headers);
    this.#response.flushHeaders();
  }

  /** Resolves when it is done, when the client has gone, or when the flow has changed. */
  #woken(begin: (done: () => void) => void): Promise<void> {
    if (this.gone.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
      begin(resolve);
    });
  }

  #then(act: () => Promise<void>): Promise<void> {
    const done = this.#last.then(() => (this.gone.aborted ? undefined : act()));
    this.#last = done.catch(() => {});
    return done;
  }
}
