/** All clients are dropped at once, and all come back: nobody misses anything, and the hub answers others meanwhile. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type HubProcess, startHub } from "../support/hub.js";
import { Publisher } from "../support/publisher.js";
import { Peer } from "../support/raw.js";
import { type Received, Subscriber } from "../support/subscriber.js";
import { pause, until } from "../support/until.js";
import { descriptorLimit } from "./support/proc.js";
import { long, scaled } from "./support/scale.js";

const clients = scaled({ short: 500, long: 8000 });
/** The clients share the processor with the hub, and the one that asks shares it with them. */
const answerMs = scaled({ short: 1000, long: 5000 });

test(`${clients} clients that are dropped at once are all back, with nothing lost`, {
  timeout: long ? 300_000 : 60_000,
}, async ({ skip }) => {
  const limit = descriptorLimit();
  if (limit < clients + 200) {
    skip(
      `${clients} connections need as many descriptors, and this process may have ${limit}: raise it with ulimit -n`,
    );
  }
  const cwd = await mkdtemp(join(tmpdir(), "millrace-herd-"));
  const args = ["--retry", "500ms", "--log-level", "error"];
  let hub: HubProcess = await startHub(args, { cwd });
  const { url } = hub;
  const herd = Array.from({ length: clients }, () => new Flock(url));
  const publisher = new Publisher(url);
  const health = watchHealth(url);
  try {
    await until(
      () => `all are connected: ${count(herd)}`,
      () => count(herd) === clients,
      60_000,
    );
    let published = 0;
    const publish = async (events: number) => {
      for (let at = 0; at < events; at++) {
        await publisher.publish([{ channel: "herd", data: String(published) }], `herd-${published}`);
        published++;
      }
    };
    await publish(10);
    health.begin();
    hub.kill("SIGKILL");
    await hub.exited;
    const untold = publish(10); // some before anyone is back, and some while they come
    hub = await startHub([...args, "--port", new URL(url).port], { cwd });
    const startedMs = performance.now();
    health.expect();
    await untold;
    await until(
      () => `all are back: ${count(herd)}`,
      () => count(herd) === clients,
      60_000,
    );
    const backMs = performance.now() - startedMs;
    await publish(5);
    await until(
      () => `all have all ${published} events: ${herd.filter(({ got }) => got >= published).length}`,
      () => herd.every(({ got }) => got >= published),
      30_000,
    );
    await pause(100); // nothing more may come
    const { answers, worstMs, failures } = health.end();
    console.log(
      `${clients} clients are back ${backMs.toFixed(0)} ms after the hub; ${answers} answers of /health meanwhile, the slowest ${worstMs.toFixed(0)} ms`,
    );
    expect(failures).toEqual([]);
    expect(answers).toBeGreaterThan(10);
    expect(worstMs).toBeLessThan(answerMs);
    expect(herd.filter(({ wrong }) => wrong !== undefined).map(({ wrong }) => wrong)).toEqual([]);
    expect(herd.filter(({ got }) => got !== published)).toHaveLength(0);
    expect(herd.flatMap(({ reader }) => [...reader.gaps, ...reader.refusals])).toEqual([]);
    expect(herd.every(({ reader }) => reader.opened >= 2)).toBe(true);
  } finally {
    health.end();
    publisher.stop();
    for (const { reader } of herd) reader.stop();
    await hub[Symbol.asyncDispose]();
    await rm(cwd, { recursive: true, force: true });
  }
});

/** One client; it counts what it is given. */
class Flock {
  readonly reader: Subscriber;
  got = 0;
  /** The first event that was not the next one. */
  wrong: { readonly expected: number; readonly event: Received } | undefined;

  constructor(url: string) {
    this.reader = new Subscriber(url, "/events?channel=herd", {
      onEvent: (event) => {
        if (event.data !== String(this.got)) this.wrong ??= { expected: this.got, event };
        this.got++;
      },
    });
  }
}

const count = (herd: readonly Flock[]): number => herd.filter(({ reader }) => reader.connected).length;

/** Asks /health over and over, each time on a new connection. */
function watchHealth(url: string) {
  const seen = { answers: 0, worstMs: 0, failures: [] as string[] };
  const state = { asking: false, expected: false };
  const loop = async () => {
    while (state.asking) {
      const { expected } = state;
      const peer = new Peer(url);
      const startMs = performance.now();
      try {
        const { status } = await peer.request("/health", { timeoutMs: 10_000 });
        if (status !== 200) seen.failures.push(`status ${status}`);
        seen.answers++;
        if (expected) seen.worstMs = Math.max(seen.worstMs, performance.now() - startMs);
      } catch (error) {
        if (expected) seen.failures.push(String(error));
      }
      peer.close();
      await pause(20);
    }
  };
  return {
    begin: () => {
      state.asking = true;
      void loop();
    },
    /** From now on every question has to be answered. */
    expect: () => {
      state.expected = true;
    },
    end: () => {
      state.asking = false;
      return seen;
    },
  };
}
