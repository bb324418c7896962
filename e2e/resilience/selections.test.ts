/**
 * What a publish costs does not depend on who else is connected, and what a delivery costs does not depend on who
 * receives it. Processor time is compared with processor time of the same minute, never with a figure.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startHub } from "../support/hub.js";
import { Peer, RawStream } from "../support/raw.js";
import { until } from "../support/until.js";
import { cpuMs, descriptorLimit } from "./support/proc.js";
import { long, median, scaled } from "./support/scale.js";

const timeout = long ? 300_000 : 60_000;
const identitiesServer = fileURLToPath(new URL("support/identities-server.mjs", import.meta.url));

/** Streams that count what they are given. */
class Audience {
  readonly #streams: RawStream[] = [];
  open = 0;
  got = 0;

  async join(url: string, paths: readonly string[], headersOf: (at: number) => Record<string, string> = () => ({})) {
    for (const [at, path] of paths.entries()) {
      const listener = {
        onHead: () => this.open++,
        onBlock: ({ data }: { data?: string }) => {
          if (data !== undefined) this.got++;
        },
      };
      this.#streams.push(new RawStream(url, path, { headers: headersOf(at) }, listener));
      // A few at a time: the queue of connections that wait to be accepted is short.
      if (at % 200 === 199) await this.#complete();
    }
    await this.#complete();
  }

  leave(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  #complete(): Promise<void> {
    return until(
      () => `${this.#streams.length} streams are open: ${this.open}`,
      () => this.open === this.#streams.length,
      20_000,
    );
  }
}

function publishTo(peer: Peer, channel: string): Promise<void> {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ channel, data: "x".repeat(100) });
  return peer.request("/publish", { method: "POST", headers, body }).then(({ status }) => expect(status).toBe(200));
}

test("a publish to one of many different selections costs what it costs with one subscriber", {
  timeout,
}, async ({ skip }) => {
  const subscribers = scaled({ short: 1000, long: 10_000 });
  const publishes = scaled({ short: 3000, long: 10_000 });
  const rounds = scaled({ short: 5, long: 9 });
  if (descriptorLimit() < subscribers + 500) skip(`${subscribers} connections need as many descriptors: ulimit -n`);
  const args = ["--store", "memory", "--heartbeat", "off", "--log-level", "error"];
  await using lonely = await startHub(args);
  await using busy = await startHub(args);
  const sides = [
    { hub: lonely, subscribers: 1, audience: new Audience(), costs: [] as number[] },
    { hub: busy, subscribers, audience: new Audience(), costs: [] as number[] },
  ];
  for (const { hub, subscribers: many, audience } of sides) {
    const path = (at: number) => `/events?channel=own/${at}&channel=tree/${at}/*&channel=some/${at % 97}`;
    await audience.join(
      hub.url,
      Array.from({ length: many }, (_, at) => path(at)),
    );
  }
  const measure = async ({ hub, subscribers: many, audience, costs }: (typeof sides)[number]) => {
    const peer = new Peer(hub.url);
    const gotBefore = audience.got;
    const before = cpuMs(hub.pid);
    // One after the other: the lonely one would be given several in one write, the many one each.
    for (let at = 0; at < publishes; at++) await publishTo(peer, `own/${(at * 7919) % many}`);
    await until(
      () => `all is delivered: ${audience.got - gotBefore} of ${publishes}`,
      () => audience.got - gotBefore >= publishes,
      10_000,
    );
    costs.push((cpuMs(hub.pid) - before) / publishes);
    expect(audience.got - gotBefore).toBe(publishes);
    peer.close();
  };
  for (const side of sides) await measure(side); // to warm up
  for (const { costs } of sides) costs.length = 0;
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? sides : [...sides].reverse()) await measure(side);
  }
  for (const { audience } of sides) audience.leave();
  const [alone, among] = sides.map(({ costs }) => median(costs)) as [number, number];
  console.log(
    `a publish costs ${(alone * 1000).toFixed(0)} µs with one subscriber, ${(among * 1000).toFixed(0)} µs among ${subscribers}: ${(among / alone).toFixed(2)} times`,
  );
  expect(among / alone).toBeLessThan(1.5);
});

test("a delivery to a user costs what one to a stranger costs", { timeout }, async () => {
  const subscribers = 1000;
  const publishes = scaled({ short: 30, long: 200 });
  const rounds = scaled({ short: 7, long: 15 });
  const server = spawn(process.execPath, [identitiesServer], { stdio: ["ignore", "pipe", "inherit"] });
  const end = () => server.kill("SIGKILL");
  process.once("exit", end);
  try {
    const url = await firstLine(server);
    const sides = ["strangers", "users"].map((channel) => ({
      channel,
      audience: new Audience(),
      costs: [] as number[],
    }));
    for (const { channel, audience } of sides) {
      const paths = Array.from({ length: subscribers }, () => `/events?channel=${channel}`);
      await audience.join(url, paths, (at) => (channel === "users" ? { "X-User": `user-${at}` } : {}));
    }
    const peer = new Peer(url);
    const measure = async ({ channel, audience, costs }: (typeof sides)[number]) => {
      const before = cpuMs(server.pid as number);
      for (let at = 0; at < publishes; at++) {
        const due = audience.got + subscribers;
        await publishTo(peer, channel);
        // Each on its own: what would leave in one write with the next would cost less.
        await new Promise<void>((resolve) => {
          const look = () => (audience.got >= due ? resolve() : setImmediate(look));
          look();
        });
        expect(audience.got).toBe(due);
      }
      costs.push((cpuMs(server.pid as number) - before) / (publishes * subscribers));
    };
    for (const side of sides) await measure(side); // to warm up
    for (const { costs } of sides) costs.length = 0;
    for (let round = 0; round < rounds; round++) {
      for (const side of round % 2 === 0 ? sides : [...sides].reverse()) await measure(side);
    }
    peer.close();
    for (const { audience } of sides) audience.leave();
    const [stranger, user] = sides.map(({ costs }) => median(costs)) as [number, number];
    console.log(
      `a delivery costs ${(stranger * 1000).toFixed(2)} µs to a stranger, ${(user * 1000).toFixed(2)} µs to a user: ${(user / stranger).toFixed(2)} times`,
    );
    expect(user / stranger).toBeLessThan(1.3);
  } finally {
    process.off("exit", end);
    end();
  }
});

async function firstLine(server: ChildProcess): Promise<string> {
  const [line] = (await once(server.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  return line.toString().trim();
}
