import { type Answer, Peer } from "./raw.js";

/** An event as it is published. */
export interface Published {
  readonly channel: string;
  readonly data: string;
}

const againMs = 20;

/** Publishes as a careful application does: what is not answered, or refused for a while, is sent again with its key. */
export class Publisher {
  /** Requests that had to be sent again. */
  repeats = 0;
  readonly #peer: Peer;
  #stopped = false;

  constructor(url: string) {
    this.#peer = new Peer(url);
  }

  /** Resolves with the ids, in order, however long it takes. Rejects at an answer that repeating cannot mend. */
  async publish(events: readonly Published[], key: string): Promise<string[]> {
    for (;;) {
      const answer = await this.once(events, key).catch(() => undefined);
      if (answer?.status === 200) return idsOf(answer);
      if (answer && answer.status !== 503 && answer.status !== 507) {
        throw new Error(`publishing was answered ${answer.status}: ${answer.body.toString()}`);
      }
      if (this.#stopped) throw new Error("the publisher was stopped");
      this.repeats++;
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }

  /** Sends the events once. Rejects when there is no answer. */
  once(events: readonly Published[], key?: string): Promise<Answer> {
    return this.#peer.request("/publish", {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        ...(key === undefined ? {} : { "Idempotency-Key": key }),
      },
      body: JSON.stringify(events),
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#peer.close();
  }
}

export function idsOf(answer: Answer): string[] {
  return (JSON.parse(answer.body.toString()) as { ids: string[] }).ids;
}
