import { expect } from "vitest";
import { Publisher } from "../../support/publisher.js";
import { pause } from "../../support/until.js";

/** Publishes 0, 1, 2, … on a channel, and goes on while its hub is away. */
export interface Ticker extends AsyncDisposable {
  /** How many the hub has accepted. */
  readonly count: number;
  /** Resolves when the last one is accepted; nothing follows. */
  stop(): Promise<number>;
}

let tickers = 0;

export function startTicker(url: string, channel: string, everyMs: number): Ticker {
  const publisher = new Publisher(url);
  const key = `${Date.now()}-${tickers++}`;
  let count = 0;
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      await publisher.publish([{ channel, data: `${count}` }], `${key}-${count}`);
      count++;
      await pause(everyMs);
    }
  })();
  done.catch(() => {});
  const stop = async () => {
    stopped = true;
    await done;
    publisher.stop();
    return count;
  };
  return {
    get count() {
      return count;
    },
    stop,
    async [Symbol.asyncDispose]() {
      stopped = true;
      publisher.stop();
      await done.catch(() => {});
    },
  };
}

/** Each number once, in order, from the first one that came: nothing lost, nothing twice. */
export function expectEachOnce(data: readonly number[], from = 0): void {
  expect(data).toEqual(data.map((_, at) => from + at));
}
