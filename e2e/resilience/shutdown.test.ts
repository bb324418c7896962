/** SIGTERM: clients are told to come back, the hub is gone soon, and the next one goes on where it stopped. */
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type HubProcess, startHub } from "../support/hub.js";
import { Publisher } from "../support/publisher.js";
import { ask, type Block, openStream, type RawStream } from "../support/raw.js";
import { Subscriber } from "../support/subscriber.js";
import { pause, until } from "../support/until.js";
import { scaled } from "./support/scale.js";

const drainMs = 3000;
const retryMs = 400;
const args = ["--drain", `${drainMs}ms`, "--retry", `${retryMs}ms`, "--log-level", "error"];

describe("SIGTERM", () => {
  let cwd: string;
  beforeEach(async () => {
    cwd = await mkdtemp(join(tmpdir(), "millrace-shutdown-"));
  });
  afterEach(async () => {
    await rm(cwd, { recursive: true, force: true });
  });

  /** Asserts that the store was closed in order. */
  async function expectClean(): Promise<void> {
    const text = await readFile(join(cwd, "millrace-data/checkpoint.json"), "utf8");
    expect(JSON.parse(text.slice(text.indexOf("\n") + 1))).toMatchObject({ clean: true });
  }

  test("under load: everyone is told, nothing is lost, the next start goes on", { timeout: 120_000 }, async () => {
    const subscribers = scaled({ short: 200, long: 2000 });
    let hub: HubProcess = await startHub(args, { cwd });
    const { url } = hub;
    const readers = Array.from({ length: subscribers }, () => new Subscriber(url, "/events?channel=load"));
    const senders = Array.from({ length: 3 }, () => new Publisher(url));
    const acknowledged = new Map<string, string>(); // data → id
    try {
      await until(
        () => "all are connected",
        () => readers.every(({ connected }) => connected),
        30_000,
      );
      let publishing = true;
      const work = senders.map(async (sender, who) => {
        for (let at = 0; publishing; at++) {
          const data = `${who} ${at}`;
          const [id] = await sender.publish([{ channel: "load", data }], data);
          acknowledged.set(data, id as string);
          await pause(1);
        }
      });
      await pause(300);
      const told = performance.now();
      hub.kill("SIGTERM");
      const refusal = refusedAfter(url, told, drainMs);
      const { code, signal } = await hub.exited;
      const goneMs = performance.now() - told;
      expect({ code, signal }).toEqual({ code: 0, signal: null });
      expect(goneMs).toBeLessThan(drainMs + 500);
      expect(await refusal).toBeLessThan(500);
      expect(hub.stderr()).toBe("");
      await expectClean();

      await until(
        () => "the close has reached everyone",
        () => readers.every(({ closes }) => closes.length > 0),
        2000,
      );
      for (const { closes } of readers) {
        expect(closes).toHaveLength(1);
        const [close] = closes;
        expect(JSON.parse(close?.data ?? "")).toEqual({ reason: "shutdown", reconnect: true });
        expect(close?.retry).toBeGreaterThanOrEqual(retryMs);
        expect(close?.retry).toBeLessThanOrEqual(2 * retryMs);
      }
      const times = new Set(readers.map(({ closes }) => closes[0]?.retry));
      expect(times.size).toBeGreaterThan(Math.min(subscribers, retryMs) / 4);

      hub = await startHub([...args, "--port", new URL(url).port], { cwd });
      await pause(300);
      publishing = false;
      await Promise.all(work);
      const complete = () => readers.every(({ events }) => events.length >= acknowledged.size);
      await until(
        () => `everyone has all ${acknowledged.size}: ${Math.min(...readers.map(({ events }) => events.length))}`,
        complete,
        15_000,
      );
      const [first] = readers as [Subscriber];
      expect(new Map(first.events.map(({ data, id }) => [data, id]))).toEqual(acknowledged);
      for (const { events, gaps } of readers) {
        expect(gaps).toEqual([]);
        expect(events).toEqual(first.events);
      }
      const repeats = senders.reduce((sum, sender) => sum + sender.repeats, 0);
      console.log(
        `gone ${goneMs.toFixed(0)} ms after SIGTERM; ${acknowledged.size} events, ${repeats} requests repeated`,
      );
    } finally {
      for (const reader of readers) reader.stop();
      for (const sender of senders) sender.stop();
      await hub[Symbol.asyncDispose]();
    }
  });

  test("ends at once when nobody is connected, or the last stream has gone", async () => {
    for (const clients of [0, 20]) {
      await using hub = await startHub(args, { cwd });
      const streams: RawStream[] = [];
      for (let at = 0; at < clients; at++) streams.push(await openStream(hub.url, "/events?channel=load"));
      const told = performance.now();
      hub.kill("SIGTERM");
      expect(await hub.exited).toEqual({ code: 0, signal: null });
      expect(performance.now() - told).toBeLessThan(1000);
      await expectClean();
    }
  });

  test("waits no longer than the drain time for clients that neither read nor leave", async () => {
    await using hub = await startHub(args, { cwd });
    const stalled = await openStream(hub.url, "/events?channel=load");
    stalled.pause();
    const other: Block[] = [];
    await openStream(hub.url, "/events?channel=load", {}, { onBlock: (block) => other.push(block) });
    const publisher = new Publisher(hub.url);
    for (let at = 0; at < 16; at++) {
      await publisher.publish([{ channel: "load", data: "x".repeat(900_000) }], `large-${at}`);
    }
    publisher.stop();
    // A connection that was never used, and two in the middle of a request.
    const { port } = new URL(hub.url);
    const unfinished = ["", "GET /health HT", "POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"];
    for (const text of unfinished) {
      const socket = net.connect(Number(port), "127.0.0.1").on("error", () => {});
      socket.resume().write(text);
    }
    const told = performance.now();
    hub.kill("SIGTERM");
    const { code } = await hub.exited;
    expect(code).toBe(0);
    expect(performance.now() - told).toBeGreaterThan(drainMs * 0.9);
    expect(performance.now() - told).toBeLessThan(drainMs + 1000);
    expect(other.at(-1)?.event).toBe("millrace.close");
    await expectClean();
    stalled.destroy();
  });

  test("answers every publish that it accepts: without a key, nothing comes twice", async () => {
    for (const clients of [0, 10]) {
      let hub: HubProcess = await startHub(args, { cwd });
      const { url } = hub;
      for (let at = 0; at < clients; at++) await openStream(url, "/events?channel=load");
      const channel = `load-${clients}`;
      const answered: string[] = [];
      const work = Array.from({ length: 16 }, async (_, who) => {
        const publisher = new Publisher(url);
        for (let at = 0; ; at++) {
          const data = `${who} ${at}`;
          const answer = await publisher.once([{ channel, data }]).catch(() => undefined);
          if (answer?.status !== 200) break;
          answered.push(data);
        }
        publisher.stop();
      });
      await pause(200);
      hub.kill("SIGTERM");
      await hub.exited;
      await Promise.all(work);
      hub = await startHub(args, { cwd });
      const reader = new Subscriber(hub.url, `/events?channel=${channel}&rewind=all`);
      await until(
        () => `all that was answered is there: ${reader.events.length} of ${answered.length}`,
        () => reader.events.length >= answered.length,
        5000,
      );
      await pause(100); // nothing more may come
      expect(reader.events.map(({ data }) => data).sort()).toEqual(answered.sort());
      reader.stop();
      await hub[Symbol.asyncDispose]();
    }
  });

  test("answers those who wait in a long-poll", async () => {
    await using hub = await startHub(args, { cwd });
    const position = (await ask(hub.url, "/events?channel=load&mode=poll")).headers.get("millrace-position");
    const waiting = ask(hub.url, `/events?channel=load&mode=poll&lastEventId=${position}`);
    await until(
      () => "it waits",
      async () => (await ask(hub.url, "/metrics")).body.includes("millrace_connections 1\n"),
      5000,
    );
    hub.kill("SIGTERM");
    const { status, body } = await waiting;
    expect(status).toBe(200);
    expect(body.toString()).toContain("event: millrace.close\n");
    expect(body.toString()).toContain(`id: ${position}\n`);
    expect((await hub.exited).code).toBe(0);
  });

  test("tells clients over HTTP/2, too, and they go at once", async () => {
    await using hub = await startHub(args, { cwd });
    const session = http2.connect(hub.url);
    session.on("error", () => {});
    let text = "";
    const stream = session.request({ ":path": "/events?channel=load" });
    stream.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    await once(stream, "response");
    const ended = once(stream, "end");
    const told = performance.now();
    hub.kill("SIGTERM");
    await ended;
    expect(text).toMatch(/event: millrace\.close\nretry: \d+\ndata: \{"reason":"shutdown","reconnect":true\}\n\n$/);
    expect(await hub.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - told).toBeLessThan(1000);
    await expectClean();
    session.destroy();
  });

  test("a second one does not wait", async () => {
    await using hub = await startHub(args, { cwd });
    const stalled = await openStream(hub.url, "/events?channel=load");
    stalled.pause();
    const publisher = new Publisher(hub.url);
    for (let at = 0; at < 16; at++) {
      await publisher.publish([{ channel: "load", data: "x".repeat(900_000) }], `large-${at}`);
    }
    publisher.stop();
    const told = performance.now();
    hub.kill("SIGTERM");
    await pause(200);
    hub.kill("SIGTERM");
    expect((await hub.exited).code).toBe(1);
    expect(performance.now() - told).toBeLessThan(1000);
    stalled.destroy();
  });
});

/** Milliseconds from then until a new connection, or a request on it, was refused. */
async function refusedAfter(url: string, sinceMs: number, withinMs: number): Promise<number> {
  while (performance.now() - sinceMs < withinMs) {
    const answer = await ask(url, "/events?channel=load", { timeoutMs: 1000 }).catch((error: Error) => error);
    if (answer instanceof Error && /ECONNREFUSED|ECONNRESET/.test(answer.message)) break;
    if (!(answer instanceof Error) && answer.status === 503) break;
    await pause(10);
  }
  return performance.now() - sinceMs;
}

describe("DELETE /connections/ID", () => {
  test("with reconnect=false sends a client away for good: its next request is answered 204", async () => {
    await using hub = await startHub(["--store", "memory", ...args]);
    const away = new Subscriber(hub.url, "/events?channel=load");
    const stays = new Subscriber(hub.url, "/events?channel=load");
    await until(
      () => "both are connected",
      () => away.connected && stays.connected,
      5000,
    );
    const end = (reader: Subscriber, query: string) =>
      ask(hub.url, `/connections/${reader.head?.headers.get("millrace-connection")}${query}`, { method: "DELETE" });
    expect((await end(away, "?reconnect=false")).status).toBe(204);
    expect((await end(stays, "")).status).toBe(204);
    await until(
      () => "one is told by 204 that it is not wanted",
      () => away.ended,
      5000,
    );
    expect(away.closes.map(({ data }) => JSON.parse(data ?? ""))).toEqual([
      { reason: "disconnected", reconnect: false },
    ]);
    expect(away.closes[0]?.id).toBe(away.lastEventId);
    await until(
      () => "the other one has come back",
      () => stays.opened === 2 && stays.connected,
      5000,
    );
    expect(stays.closes.map(({ data }) => JSON.parse(data ?? ""))).toEqual([
      { reason: "disconnected", reconnect: true },
    ]);
    expect(away.opened).toBe(1);
    away.stop();
    stays.stop();
  });
});
