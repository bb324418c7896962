import { describe, expect, test } from "vitest";
import { createMemoryLog } from "../../src/index.js";
import type { EventReader } from "./support/events.js";
import { forms, http1, open, serveHttp1, start, until } from "./support/index.js";
import { heldBytes } from "./support/memory.js";

const mebibyte = 1024 * 1024;
/** More than two sockets and the kernel between them hold. */
const muchBytes = 40 * mebibyte;
const eventBytes = 32 * 1024;
const padding = "x".repeat(eventBytes);

/** Publishes numbered events, a few in each turn as a server does; answers with how many. */
async function publishMuch(hub: { publish: (events: { data: string }[]) => Promise<string[]> }): Promise<number> {
  const count = muchBytes / eventBytes;
  for (let at = 0; at < count; at += 10) {
    await hub.publish(Array.from({ length: 10 }, (_, more) => ({ data: `${at + more} ${padding}` })));
  }
  return count;
}

/** Reads numbered events up to the last, and answers with what was left out. Fails when a hole was not said. */
async function readNumbered(events: EventReader, last: number): Promise<number> {
  let missing = 0;
  let gapSaid = false;
  for (let expected = 0; expected <= last; expected++) {
    let event = await events.next();
    if (event.type === "millrace.gap") {
      gapSaid = true;
      event = await events.next();
    }
    const number = Number.parseInt(event.data, 10);
    if (number !== expected) expect([number > expected, gapSaid]).toEqual([true, true]);
    missing += number - expected;
    expected = number;
    gapSaid = false;
  }
  return missing;
}

describe.each(forms)("a reader that stalls over $name", (form) => {
  test("costs bounded memory, and hears of what it has missed", { timeout: 30_000 }, async () => {
    const keptBytes = 4 * mebibyte;
    await using hub = await start(form, { log: createMemoryLog({ retention: { channelBytes: keptBytes } }) });
    const stalled = await open(hub, "/events");
    const reading = await open(hub, "/events?format=envelope&channel=quick");
    const before = heldBytes();
    const count = await publishMuch(hub.hub);
    expect(heldBytes() - before).toBeLessThan(keptBytes + 8 * mebibyte);
    expect(hub.hub.connection(stalled.header("millrace-connection") ?? "")?.state).toBe("full");
    await hub.hub.publish({ channel: "quick", data: "nobody else waits" });
    expect(JSON.parse((await reading.events.next()).data).data).toBe("nobody else waits");
    const missing = await readNumbered(stalled.events, count - 1);
    expect(missing).toBeGreaterThan(0);
    await until("it is live again", () => [...hub.hub.connections()].every(({ state }) => state === "live"));
    const id = await hub.hub.publish({ data: "live" });
    expect(await stalled.events.next()).toMatchObject({ data: "live", lastEventId: id });
  });

  test("gets all that is kept when it reads again", { timeout: 30_000 }, async () => {
    await using hub = await start(form);
    const stalled = await open(hub, "/events");
    const count = await publishMuch(hub.hub);
    expect(hub.hub.connection(stalled.header("millrace-connection") ?? "")?.state).toBe("full");
    expect(await readNumbered(stalled.events, count - 1)).toBe(0);
    expect(stalled.events.lastEventId).toBe(hub.hub.position());
  });

  test("is forgotten when it leaves without having read", { timeout: 30_000 }, async () => {
    await using hub = await start(form);
    const stalled = await open(hub, "/events");
    await publishMuch(hub.hub);
    stalled.leave();
    await until("it is forgotten", () => hub.hub.stats().connections === 0);
  });
});

test("what waits in the socket of a stalled reader is one chunk", async () => {
  await using hub = await start(http1);
  await using server = await serveHttp1(hub.hub);
  let waiting = () => 0;
  server.server.on("connection", (socket) => {
    waiting = () => socket.writableLength;
  });
  const stalled = await open(server, "/events");
  await publishMuch(hub.hub);
  expect(waiting()).toBeGreaterThan(0);
  expect(waiting()).toBeLessThanOrEqual(2 * 64 * 1024);
  stalled.leave();
});
