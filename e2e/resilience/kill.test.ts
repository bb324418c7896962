/**
 * The hub is killed again and again while events are published: whatever was acknowledged, and whatever was not, every
 * subscriber is given every event once, in one order, and nobody is told of a gap.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type HubProcess, startHub } from "../support/hub.js";
import { type Published, Publisher } from "../support/publisher.js";
import { Subscriber } from "../support/subscriber.js";
import { pause, until } from "../support/until.js";
import { between, long, type Random, scaled, seededRandom } from "./support/scale.js";

const bin = fileURLToPath(new URL("../../packages/millrace-hub/bin/millrace-hub.js", import.meta.url));
const channels = ["kill/a", "kill/b", "kill/b/c"];
const paths = ["/events?channel=kill/*", `/events?${channels.map((name) => `channel=${name}`).join("&")}`];
const publishers = 4;
/** The name of a file that others were rewritten into. */
const rewritten = /^\d+-\d+\.log$/;

interface Scale {
  readonly events: number;
  readonly subscribers: number;
  readonly kills: number;
}

interface Way {
  readonly durability: "process" | "power";
  readonly scale: Scale;
  /** Further arguments of the hub. */
  readonly args?: readonly string[];
  /** How long the hub lives on at most, when the next moment to kill it has come. Default 15 ms. */
  readonly livesOnMs?: number;
  /** Events are published beside, on a channel that nobody reads and that keeps few: the store is rewritten all the time. */
  readonly noise?: boolean;
}

const ofProcess = scaled<Scale>({
  short: { events: 2000, subscribers: 20, kills: 5 },
  long: { events: 10_000, subscribers: 100, kills: 20 },
});
const ofRewriting = scaled<Scale>({
  short: { events: 1500, subscribers: 5, kills: 4 },
  long: { events: 10_000, subscribers: 20, kills: 20 },
});
const ofPower = scaled<Scale>({
  short: { events: 400, subscribers: 5, kills: 2 },
  long: { events: 2000, subscribers: 20, kills: 8 },
});

const ways: readonly [string, Way][] = [
  ["durability process", { durability: "process", scale: ofProcess }],
  ["durability power", { durability: "power", scale: ofPower }],
  [
    "while the store is rewritten",
    {
      durability: "process",
      scale: ofRewriting,
      args: ["--retention-channel-bytes", "1MiB", "--retention-total-bytes", "64MiB"],
      livesOnMs: 2500,
      noise: true,
    },
  ],
];

test.for(ways)(
  "kill -9 under load, %s: every event once, in one order, without a gap",
  {
    timeout: long ? 600_000 : 60_000,
  },
  async ([name, way]) => {
    const { durability, livesOnMs = 15, noise = false } = way;
    const { events, subscribers, kills } = way.scale;
    const random = seededRandom(`kill, ${name}`);
    const cwd = await mkdtemp(join(tmpdir(), "millrace-kill-"));
    const args = ["--durability", durability, "--retry", "50ms", "--log-level", "warn", ...(way.args ?? [])];
    let hub: HubProcess = await startHub(args, { cwd });
    const { url } = hub;
    const again = [...args, "--port", new URL(url).port];
    const readers = Array.from({ length: subscribers }, (_, at) => new Subscriber(url, paths[at % 2] as string));
    const senders = Array.from({ length: publishers }, () => new Publisher(url));
    try {
      await until(
        () => "all subscribers are connected",
        () => readers.every(({ connected }) => connected),
        10_000,
      );
      const requests = makeRequests(events, random);
      const acknowledged = new Map<string, string>(); // data → id
      const state = { failed: undefined as unknown, done: false };
      const disturbed = noise ? makeNoise(url, state) : undefined;
      const work = senders.map(async (sender) => {
        for (let next = requests.pop(); next && !state.failed; next = requests.pop()) {
          const { batch, key } = next;
          const ids = await sender.publish(batch, key);
          for (const [at, { data }] of batch.entries()) acknowledged.set(data, ids[at] as string);
          if (noise) await pause(25); // so that there is something left to publish until the last kill
        }
      });
      const published = Promise.all(work).catch((error) => {
        state.failed = error;
      });

      // Spread over the events, because a time means a different number of them on every machine.
      const moments = Array.from({ length: kills }, () => Math.floor(random() * events * 0.95)).sort((a, b) => a - b);
      for (const [at, moment] of moments.entries()) {
        await until(
          () => `${moment} events are acknowledged, there are ${acknowledged.size}`,
          () => acknowledged.size >= moment || state.failed !== undefined,
          60_000,
        );
        if (state.failed) throw state.failed;
        await pause(between(random, 0, livesOnMs));
        hub.kill("SIGKILL");
        await hub.exited;
        // Some are killed again while they start: in the middle of reading the store, or of naming the new epoch.
        if (at % 3 === 1) await killWhileStarting(again, cwd, between(random, 30, 400));
        hub = await startHub(again, { cwd });
      }
      await published;
      state.done = true;
      await disturbed;
      if (state.failed) throw state.failed;
      await until(
        () =>
          `everyone has ${events} events, the least has ${Math.min(...readers.map((reader) => reader.events.length))}`,
        () => readers.every((reader) => reader.events.length >= events),
        30_000,
      );
      const latecomer = new Subscriber(url, `${paths[0]}&rewind=all`);
      readers.push(latecomer);
      await until(
        () => `one who comes last is given all: ${latecomer.events.length}`,
        () => latecomer.events.length >= events,
        30_000,
      );
      await pause(200); // nothing more may come

      expect(acknowledged.size).toBe(events);
      const order = (readers[0] as Subscriber).events;
      const sequences = order.map(({ id }) => Number(id.split("-")[1]));
      expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
      if (!noise) expect(sequences.at(-1)).toBe((sequences[0] as number) + events - 1);
      expect(new Map(order.map(({ data, id }) => [data, id]))).toEqual(acknowledged);
      for (const [at, reader] of readers.entries()) {
        expect(reader.gaps, `gaps of subscriber ${at}`).toEqual([]);
        expect(reader.refusals, `refusals of subscriber ${at}`).toEqual([]);
        const first = reader.events.findIndex((event, index) => !isSame(event, order[index]));
        expect(first, `where subscriber ${at} differs from the first`).toBe(-1);
        expect(reader.events.length, `events of subscriber ${at}`).toBe(events);
        if (reader !== latecomer) expect(reader.dropped, `drops of subscriber ${at}`).toBeGreaterThanOrEqual(1);
      }
      if (noise) expect(await readdir(join(cwd, "millrace-data"))).toContainEqual(expect.stringMatching(rewritten));
      const repeats = senders.reduce((sum, sender) => sum + sender.repeats, 0);
      console.log(`${kills} kills, ${repeats} requests repeated, ${readers[0]?.dropped} streams lost by the first`);
    } finally {
      for (const reader of readers) reader.stop();
      for (const sender of senders) sender.stop();
      await hub[Symbol.asyncDispose]();
      await rm(cwd, { recursive: true, force: true });
    }
  },
);

/** Publishes what is dropped again soon, until the test is over. */
async function makeNoise(url: string, state: { readonly failed: unknown; readonly done: boolean }): Promise<void> {
  const publisher = new Publisher(url);
  const batch = Array.from({ length: 20 }, () => ({ channel: "noise", data: "x".repeat(16_000) }));
  for (let at = 0; !state.done && !state.failed; at++) {
    await publisher.publish(batch, `noise-${at}`);
    await pause(10);
  }
  publisher.stop();
}

/** Single events and small batches, with a key each. */
function makeRequests(events: number, random: Random): { batch: Published[]; key: string }[] {
  const requests: { batch: Published[]; key: string }[] = [];
  for (let made = 0; made < events; ) {
    const size = Math.min(events - made, random() < 0.7 ? 1 : 2 + Math.floor(random() * 4));
    const batch = Array.from({ length: size }, (_, at) => ({
      channel: channels[Math.floor(random() * channels.length)] as string,
      data: `${made + at} ${"x".repeat(Math.floor(random() * 300))}`,
    }));
    made += size;
    requests.push({ batch, key: `request-${requests.length}` });
  }
  return requests;
}

function isSame(one: object, other: object | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

async function killWhileStarting(args: readonly string[], cwd: string, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, [bin, "serve", ...args], { cwd, stdio: "ignore" });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  await pause(afterMs);
  child.kill("SIGKILL");
  await exited;
}
